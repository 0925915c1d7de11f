import com.ksc.kls.KSCKSLClient;
import com.ksc.kls.model.ListHistoryPubStreamsInfoRequest;

/** The pushes that have ended in the last five days. Argument: the stream's name. */
public final class ListHistoryPubStreams {
    private ListHistoryPubStreams() {}

    public static void main(String[] arguments) {
        try (KSCKSLClient client = new KSCKSLClient()) {
            var request = ListHistoryPubStreamsInfoRequest.builder()
                    .uniqueName("demo")
                    .app("live")
                    .pubdomain("push.demo.local")
                    .stream(arguments[0])
                    .orderTime(1) // the oldest first
                    .build();
            for (var stream : client.listHistoryPubStreamsInfoPages(request)) {
                for (var push : stream.getDetail()) {
                    System.out.printf("%s from %s: %d %s%n",
                            stream.getStream(), push.getClientip(), push.getStatusCode(), push.getStatusMessage());
                }
            }
        }
    }
}
