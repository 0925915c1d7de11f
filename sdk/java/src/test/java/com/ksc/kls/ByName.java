package com.ksc.kls;

import com.fasterxml.jackson.databind.JsonNode;
import com.ksc.kls.model.KLSRequest;
import com.ksc.kls.model.KLSResult;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;

/** The typed methods of the client by names that are data: a request by its setters, its method, its result. */
final class ByName {
    private ByName() {}

    /** Whether the typed request can be asked for this. */
    static boolean typed(String action, Map<String, Object> parameters) {
        return Service.isKnown(action)
                && parameters.keySet().stream().allMatch(name -> setter(request(action).getClass(), name).isPresent());
    }

    static KLSRequest request(String action, Map<String, Object> parameters) {
        KLSRequest request = request(action);
        parameters.forEach((name, value) -> {
            Method setter = setter(request.getClass(), name).orElseThrow();
            if (value != null) {
                Object given = name.equals("DryRun") ? Boolean.valueOf(value.toString()) : value;
                invoke(setter, request, given);
            }
        });
        return request;
    }

    static KLSResult call(KSCKSLClient client, String action, Map<String, Object> parameters) {
        return (KLSResult) invoke(method(action), client, request(action, parameters));
    }

    static Pages<?> pages(KSCKSLClient client, String action, Map<String, Object> parameters) {
        return (Pages<?>) invoke(method(action + "Pages"), client, request(action, parameters));
    }

    /** A result as the caller sees it, through its own words. */
    static JsonNode tree(Object shape) throws Exception {
        return Caller.JSON.readTree(shape.toString());
    }

    private static KLSRequest request(String action) {
        try {
            return (KLSRequest) Class.forName("com.ksc.kls.model." + action + "Request")
                    .getDeclaredConstructor()
                    .newInstance();
        } catch (ReflectiveOperationException error) {
            throw new AssertionError(error);
        }
    }

    private static Method method(String action) {
        String name = action.substring(0, 1).toLowerCase() + action.substring(1);
        return Arrays.stream(KSCKSLClient.class.getMethods())
                .filter(each -> each.getName().equals(name) && each.getParameterCount() == 1 && !each.isBridge())
                .findFirst()
                .orElseThrow();
    }

    private static Optional<Method> setter(Class<?> type, String name) {
        return Arrays.stream(type.getMethods())
                .filter(each -> each.getName().equals("set" + name))
                .findFirst();
    }

    private static Object invoke(Method method, Object target, Object argument) {
        try {
            return method.invoke(target, argument);
        } catch (InvocationTargetException error) {
            if (error.getCause() instanceof RuntimeException) {
                throw (RuntimeException) error.getCause();
            }
            throw new AssertionError(error.getCause());
        } catch (IllegalAccessException error) {
            throw new AssertionError(error);
        }
    }
}
