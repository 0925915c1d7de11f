package com.ksc.auth.profile;

import com.ksc.auth.AWSCredentials;
import com.ksc.auth.AWSCredentialsProvider;
import com.ksc.auth.BasicAWSCredentials;
import com.ksc.kls.UsageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/**
 * The credentials of one section of {@code ~/.aws/credentials} ({@code %USERPROFILE%\.aws\credentials} on Windows):
 * {@code aws_access_key_id} and {@code aws_secret_access_key}. The file is read at the first call.
 */
public final class ProfileCredentialsProvider implements AWSCredentialsProvider {
    private static final String DEFAULT = "default";
    private final Path file;
    private final String section;
    private AWSCredentials found;

    /** The section {@code [default]}. */
    public ProfileCredentialsProvider() {
        this(DEFAULT);
    }

    /**
     * A section of the file in the user's home.
     *
     * @param section its name, without brackets
     */
    public ProfileCredentialsProvider(String section) {
        this(Path.of(System.getProperty("user.home"), ".aws", "credentials"), section);
    }

    /**
     * A section of any file.
     *
     * @param file where it is
     * @param section its name, without brackets
     */
    public ProfileCredentialsProvider(Path file, String section) {
        this.file = file;
        this.section = section;
    }

    @Override
    public synchronized AWSCredentials getCredentials() {
        if (found == null) {
            Map<String, String> values = read();
            String accessKey = values.get("aws_access_key_id");
            String secretKey = values.get("aws_secret_access_key");
            if (accessKey == null || secretKey == null) {
                throw new UsageException(
                        file + " has no aws_access_key_id and aws_secret_access_key in its section [" + section + "]");
            }
            found = new BasicAWSCredentials(accessKey, secretKey);
        }
        return found;
    }

    private Map<String, String> read() {
        Map<String, String> values = new HashMap<>();
        boolean inside = false;
        try {
            for (String line : Files.readAllLines(file)) {
                String text = line.strip();
                int equals = text.indexOf('=');
                if (text.startsWith("[")) {
                    inside = text.equals("[" + section + "]");
                } else if (inside && equals > 0 && !text.startsWith("#") && !text.startsWith(";")) {
                    values.put(text.substring(0, equals).strip(), text.substring(equals + 1).strip());
                }
            }
        } catch (IOException error) {
            throw new UsageException("no credentials were given, and " + file + " cannot be read", error);
        }
        return values;
    }
}
