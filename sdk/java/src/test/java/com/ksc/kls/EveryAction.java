package com.ksc.kls;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.ksc.KscClientException;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * An application that tests drive: each line of standard input is a JSON array of an action and its parameters, each line
 * of standard output the answer of the typed method, or {@code {"Failure": class, "Message": text}}. An action that the
 * SDK does not have is sent with GET all the same.
 */
public final class EveryAction {
    private EveryAction() {}

    /** Runs until the end of input; client by the environment. */
    public static void main(String[] arguments) throws Exception {
        ObjectMapper json = new ObjectMapper();
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (Caller caller = new KSCKSLClientBuilder().caller();
                KSCKSLClient client = new KSCKSLClient(caller)) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                JsonNode asked = json.readTree(line);
                String action = asked.get(0).asText();
                Map<String, Object> parameters =
                        json.convertValue(asked.get(1), new TypeReference<LinkedHashMap<String, Object>>() {});
                try {
                    if (Service.isKnown(action)) {
                        out.println(ByName.call(client, action, parameters));
                    } else {
                        out.println(caller.call(new Action(action, "GET", parameters.keySet().toArray(new String[0])), parameters));
                    }
                } catch (KscClientException error) {
                    ObjectNode told = json.createObjectNode();
                    told.put("Failure", error.getClass().getSimpleName()).put("Message", error.getMessage());
                    out.println(told);
                }
            }
        }
    }
}
