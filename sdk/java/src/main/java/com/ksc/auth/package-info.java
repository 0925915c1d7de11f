/** Access keys, and where they come from. */
package com.ksc.auth;
