import com.ksc.kls.KSCKSLClient;
import com.ksc.kls.model.GetBlacklistRequest;
import java.time.Instant;

/** The streams that are forbidden, the latest ban first. */
public final class ListForbiddenStreams {
    private ListForbiddenStreams() {}

    public static void main(String[] arguments) {
        try (KSCKSLClient client = new KSCKSLClient()) {
            var request = GetBlacklistRequest.builder()
                    .uniqueName("demo")
                    .app("live")
                    .pubdomain("push.demo.local")
                    .build();
            for (var ban : client.getBlacklist(request).getData().getRecs()) {
                System.out.printf("%s until %s%n", ban.getStream(), Instant.ofEpochSecond(ban.getForbidTillUnixTime()));
            }
        }
    }
}
