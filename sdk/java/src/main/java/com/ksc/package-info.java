/** What every failure of a call is. */
package com.ksc;
