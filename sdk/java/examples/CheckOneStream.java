import com.ksc.kls.KSCKSLClient;
import com.ksc.kls.model.CheckBlacklistRequest;

/** Whether a stream is forbidden. Argument: the stream's name. */
public final class CheckOneStream {
    private CheckOneStream() {}

    public static void main(String[] arguments) {
        try (KSCKSLClient client = new KSCKSLClient()) {
            var request = CheckBlacklistRequest.builder()
                    .uniqueName("demo")
                    .app("live")
                    .pubdomain("push.demo.local")
                    .stream(arguments[0])
                    .build();
            boolean forbidden = client.checkBlacklist(request).getData().getCheckResult() == 1;
            System.out.println(forbidden ? "forbidden" : "allowed");
        }
    }
}
