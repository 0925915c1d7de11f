package com.ksc.kls;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One action as the service model has it: how it is sent, and in which order its parameters go. */
final class Action {
    private static final String DRY_RUN = "DryRun";
    final String name;
    final String method;
    final List<String> members;

    Action(String name, String method, String... members) {
        this.name = name;
        this.method = method;
        this.members = List.of(members);
    }

    /** What is given, in the model's order, without what is null; DryRun, which is the gateway's, goes last. */
    Map<String, Object> ordered(Map<String, ?> given) {
        Map<String, Object> ordered = new LinkedHashMap<>();
        for (String member : members) {
            if (given.get(member) != null) {
                ordered.put(member, given.get(member));
            }
        }
        if (given.get(DRY_RUN) != null) {
            ordered.put(DRY_RUN, given.get(DRY_RUN));
        }
        for (String each : given.keySet()) {
            if (!members.contains(each) && !each.equals(DRY_RUN)) {
                throw new UsageException(name + " has no parameter " + each + "; it has " + String.join(", ", members));
            }
        }
        return ordered;
    }

    /**
     * Whether a call of which it is not known whether it was done may be made again. A ban that is set again is the same
     * ban; only a cut without a ban (ForbidTillUnixTime 1) is another cut.
     */
    boolean isRepeatable(Map<String, Object> parameters) {
        return !"1".equals(String.valueOf(parameters.get("ForbidTillUnixTime")));
    }
}
