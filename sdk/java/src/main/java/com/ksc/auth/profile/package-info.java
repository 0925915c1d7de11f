/** Access keys of {@code ~/.aws/credentials}. */
package com.ksc.auth.profile;
