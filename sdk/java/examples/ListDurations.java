import com.ksc.kls.KSCKSLClient;
import com.ksc.kls.model.ListStreamDurationsRequest;
import java.time.Duration;
import java.time.Instant;

/** For how long a stream was pushed today, in seconds. Argument: the stream's name. */
public final class ListDurations {
    private ListDurations() {}

    public static void main(String[] arguments) {
        try (KSCKSLClient client = new KSCKSLClient()) {
            var request = ListStreamDurationsRequest.builder()
                    .uniqueName("demo")
                    .app("live")
                    .pubdomain("push.demo.local")
                    .stream(arguments[0])
                    .startUnixTime(Instant.now().getEpochSecond())
                    .endUnixTime(Instant.now().plus(Duration.ofDays(1)).getEpochSecond())
                    .build();
            for (var push : client.listStreamDurations(request).getData().getResult()) {
                System.out.printf("%s: %d s%n", push.getStream(), push.getDuration());
            }
        }
    }
}
