/** The client of the KLS OpenAPI. Begin with {@link com.ksc.kls.KSCKSLClient}. */
package com.ksc.kls;
