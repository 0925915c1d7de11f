import com.ksc.auth.AWSCredentials;
import com.ksc.auth.BasicAWSCredentials;
import com.ksc.kls.KSCKSLClient;
import com.ksc.kls.model.GetBlacklistRequest;

/**
 * The sample of the vendor's document, with the slips in its names mended, and then a call. Arguments: an access key and
 * its secret; without them those of {@code ~/.aws/credentials}.
 */
public final class DocumentSample {
    private DocumentSample() {}

    public static void main(String[] arguments) {
        KSCKSLClient kls_client = new KSCKSLClient();
        if (arguments.length == 2) {
            String aws_access_key_id = arguments[0];
            String aws_secret_access_key = arguments[1];
            AWSCredentials credentials = new BasicAWSCredentials(aws_access_key_id, aws_secret_access_key);
            kls_client = new KSCKSLClient(credentials);
        }
        kls_client.setEndpoint("http://kls.api.ksyun.com");

        GetBlacklistRequest request = new GetBlacklistRequest();
        request.setUniqueName("demo");
        request.setApp("live");
        request.setPubdomain("push.demo.local");
        System.out.println(kls_client.getBlacklist(request));
    }
}
