import com.ksc.kls.KSCKSLClient;
import com.ksc.kls.model.ListRealtimePubStreamsInfoRequest;

/** Every stream pushed to a domain, page after page. Bitrates are in bytes a second here. Argument: the stream's name. */
public final class ListRealtimePubStreams {
    private ListRealtimePubStreams() {}

    public static void main(String[] arguments) {
        try (KSCKSLClient client = new KSCKSLClient()) {
            var request = ListRealtimePubStreamsInfoRequest.builder()
                    .uniqueName("demo")
                    .app("live")
                    .pubdomain("push.demo.local")
                    .stream(arguments[0])
                    .limit(100)
                    .build();
            for (var stream : client.listRealtimePubStreamsInfoPages(request)) {
                System.out.printf("%s: %sx%s, %d frames/s, %s bytes/s%n",
                        stream.getStream(), stream.getWidth(), stream.getHeight(), stream.getCurfps(), stream.getBwIn());
            }
        }
    }
}
