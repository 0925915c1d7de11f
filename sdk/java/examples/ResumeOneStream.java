import com.ksc.kls.BusinessException;
import com.ksc.kls.KSCKSLClient;
import com.ksc.kls.RetCodes;
import com.ksc.kls.model.ResumeStreamRequest;

/** Allows a forbidden stream again; that it was not forbidden is no harm here. Argument: the stream's name. */
public final class ResumeOneStream {
    private ResumeOneStream() {}

    public static void main(String[] arguments) {
        try (KSCKSLClient client = new KSCKSLClient()) {
            var request = ResumeStreamRequest.builder()
                    .uniqueName("demo")
                    .app("live")
                    .pubdomain("push.demo.local")
                    .stream(arguments[0])
                    .build();
            try {
                System.out.println(client.resumeStream(request).getData().getRetMsg());
            } catch (BusinessException error) {
                if (error.getRetCode() != RetCodes.STREAM_IS_NOT_ON_THE_BLACKLIST) {
                    throw error;
                }
                System.out.println(error.getErrorMessage());
            }
        }
    }
}
