import com.ksc.kls.KSCKSLClient;
import com.ksc.kls.model.ListRealtimeStreamsInfoRequest;

/** What is live now, how well it is pushed, and how many watch it. Argument: the stream's name. */
public final class ListRealtimeStreams {
    private ListRealtimeStreams() {}

    public static void main(String[] arguments) {
        try (KSCKSLClient client = new KSCKSLClient()) {
            var request = ListRealtimeStreamsInfoRequest.builder()
                    .uniqueName("demo")
                    .app("live")
                    .stream(arguments[0])
                    .type("push") // absent: only streams that are watched too
                    .build();
            for (var stream : client.listRealtimeStreamsInfo(request).getData().getStreams()) {
                System.out.printf("%s: %d of %d frames/s, %.1f kbps, %s and %s%n",
                        stream.getStream(), stream.getCurfps(), stream.getFrameRate(), stream.getBwIn(), stream.getVcodec(),
                        stream.getAcodec());
            }
        }
    }
}
