import com.ksc.kls.KSCKSLClient;
import com.ksc.kls.model.ListHistoryPubStreamsErrInfoRequest;

/** The pushes of the last five days that were refused, or ended by a fault or a ban. Argument: the stream's name. */
public final class ListHistoryPubStreamErrors {
    private ListHistoryPubStreamErrors() {}

    public static void main(String[] arguments) {
        try (KSCKSLClient client = new KSCKSLClient()) {
            var request = ListHistoryPubStreamsErrInfoRequest.builder()
                    .uniqueName("demo")
                    .app("live")
                    .pubdomain("push.demo.local")
                    .stream(arguments[0])
                    .orderTime(1) // the oldest first
                    .build();
            for (var stream : client.listHistoryPubStreamsErrInfoPages(request)) {
                for (var push : stream.getDetail()) {
                    System.out.printf("%s from %s: %d %s%n",
                            stream.getStream(), push.getClientip(), push.getStatusCode(), push.getStatusMessage());
                }
            }
        }
    }
}
