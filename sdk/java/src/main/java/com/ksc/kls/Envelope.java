package com.ksc.kls;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.ksc.KscClientException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import javax.xml.XMLConstants;
import javax.xml.parsers.DocumentBuilder;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import org.xml.sax.SAXException;
import org.xml.sax.helpers.DefaultHandler;

/**
 * Reads an answer: {@code {"Data": {..., "RetCode"}, "RequestId"}}, or {@code {"RequestId", "Error": {...}}} in JSON or in
 * XML. Anything else is no answer of the service.
 */
final class Envelope {
    private static final int EXCERPT_CHARACTERS = 200;
    private static final int OK = 200;
    private static final int CONFLICT = 409;
    private static final int SERVER_FAULTS = 500;

    private Envelope() {}

    /** What the answer says. {@code repeatable}: the call may be made again though it is not known to be undone. */
    static Outcome read(Transport.Answer answer, boolean repeatable) {
        String date = answer.headers.get("date");
        String retryAfter = answer.headers.get("retry-after");
        ObjectNode tree = object(answer.body);
        KscClientException failure = tree == null ? xmlFailure(answer, repeatable) : jsonFailure(tree, answer, repeatable);
        return new Outcome(failure == null ? tree : null, failure, date, retryAfter);
    }

    private static KscClientException jsonFailure(ObjectNode tree, Transport.Answer answer, boolean repeatable) {
        String header = answer.headers.getOrDefault("x-amzn-requestid", "");
        String requestId = tree.path("RequestId").asText(header);
        JsonNode error = tree.path("Error");
        if (error.isObject()) {
            return gateway(answer.status, error.path("Code").asText(), error.path("Message").asText(), requestId, repeatable);
        }
        JsonNode code = tree.path("Data").path("RetCode");
        if (answer.status != OK || !code.isIntegralNumber() || !code.canConvertToInt()) {
            return unreadable(answer, repeatable);
        }
        if (code.intValue() == 0) {
            return null;
        }
        String message = tree.path("Data").path("RetMsg").asText();
        return new BusinessException(answer.status, code.intValue(), message, requestId);
    }

    private static KscClientException xmlFailure(Transport.Answer answer, boolean repeatable) {
        Optional<Element> root = xml(answer.body).filter(each -> each.getTagName().equals("ErrorResponse"));
        Optional<Element> error = root.flatMap(each -> child(each, "Error"));
        if (error.isEmpty()) {
            return unreadable(answer, repeatable);
        }
        String requestId = text(root.get(), "RequestId");
        return gateway(answer.status, text(error.get(), "Code"), text(error.get(), "Message"), requestId, repeatable);
    }

    private static GatewayException gateway(int status, String code, String message, String id, boolean repeatable) {
        boolean limited = status == CONFLICT && code.equals("LimitExceeded");
        return Service.failure(status, code, message, id, limited || status >= SERVER_FAULTS && repeatable);
    }

    private static NoAnswerException unreadable(Transport.Answer answer, boolean repeatable) {
        String text = new String(answer.body, StandardCharsets.UTF_8);
        String excerpt = text.substring(0, Math.min(EXCERPT_CHARACTERS, text.length()));
        String message = "HTTP status " + answer.status + " and no answer of the service, but: " + excerpt;
        return new NoAnswerException(message, answer.status, repeatable, null);
    }

    private static ObjectNode object(byte[] body) {
        try {
            JsonNode tree = Caller.JSON.readTree(body);
            return tree instanceof ObjectNode ? (ObjectNode) tree : null;
        } catch (IOException error) {
            return null;
        }
    }

    private static Optional<Element> xml(byte[] body) {
        try {
            DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
            factory.setFeature(XMLConstants.FEATURE_SECURE_PROCESSING, true);
            // No entities, no files, no network.
            factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
            DocumentBuilder builder = factory.newDocumentBuilder();
            builder.setErrorHandler(new DefaultHandler()); // the default one prints
            return Optional.of(builder.parse(new ByteArrayInputStream(body)).getDocumentElement());
        } catch (SAXException | IOException error) {
            return Optional.empty();
        } catch (ParserConfigurationException error) {
            throw new IllegalStateException("every Java reads XML", error);
        }
    }

    private static Optional<Element> child(Element parent, String name) {
        NodeList children = parent.getChildNodes();
        for (int index = 0; index < children.getLength(); index++) {
            if (children.item(index) instanceof Element && children.item(index).getNodeName().equals(name)) {
                return Optional.of((Element) children.item(index));
            }
        }
        return Optional.empty();
    }

    private static String text(Element parent, String name) {
        return child(parent, name).map(Element::getTextContent).orElse("");
    }
}
