/** Requests and results of the actions, and the gateway's failures by name. */
package com.ksc.kls.model;
