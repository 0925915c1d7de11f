import com.ksc.kls.KSCKSLClient;
import com.ksc.kls.model.ForbidStreamRequest;
import java.time.Duration;
import java.time.Instant;

/** Cuts a stream and its viewers, and refuses it for an hour. Argument: the stream's name. */
public final class ForbidOneStream {
    private ForbidOneStream() {}

    public static void main(String[] arguments) {
        try (KSCKSLClient client = new KSCKSLClient()) {
            var request = ForbidStreamRequest.builder()
                    .uniqueName("demo")
                    .app("live")
                    .pubdomain("push.demo.local")
                    .stream(arguments[0])
                    .forbidTillUnixTime(Instant.now().plus(Duration.ofHours(1)).getEpochSecond())
                    .build();
            System.out.println(client.forbidStream(request).getData().getRetMsg());
        }
    }
}
