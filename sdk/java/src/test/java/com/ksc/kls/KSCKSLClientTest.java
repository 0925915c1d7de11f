package com.ksc.kls;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.ksc.auth.AWSCredentials;
import com.ksc.auth.BasicAWSCredentials;
import com.ksc.auth.profile.ProfileCredentialsProvider;
import com.ksc.kls.model.ForbidStreamRequest;
import com.ksc.kls.model.GetBlacklistRequest;
import com.ksc.kls.model.ListRealtimePubStreamsInfoRequest;
import com.ksc.kls.model.ListRealtimeStreamsInfoRequest;
import com.ksc.kls.model.ListRealtimeStreamsInfoResult;
import com.ksc.kls.model.LimitExceededException;
import com.ksc.kls.model.ThirdStreamsInfoDetail;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What of the client the conformance cases do not say: its types, its credentials, its manners. */
class KSCKSLClientTest {
    private static final AWSCredentials KEY = new BasicAWSCredentials("AKTEST", "SKTEST");
    private final Deque<String> answers = new ArrayDeque<>();
    private final List<Transport.Wire> sent = new ArrayList<>();

    private KSCKSLClient client() {
        return KSCKSLClient.builder()
                .credentials(KEY)
                .transport(new Transport() {
                    @Override
                    public Answer send(Wire wire) {
                        sent.add(wire);
                        return new Answer(200, Map.of(), answers.remove().getBytes(StandardCharsets.UTF_8));
                    }

                    @Override
                    public void close() {}
                })
                .build();
    }

    @Test
    void whatIsNotReportedIsNull() {
        answers.add("{\"Data\":{\"Streams\":[{\"Stream\":\"s\",\"OnlineUser\":3000000000,\"Pulls\":[{}]}],\"RetCode\":0},\"X\":1}");
        try (KSCKSLClient client = client()) {
            ListRealtimeStreamsInfoResult result = client.listRealtimeStreamsInfo(new ListRealtimeStreamsInfoRequest());
            ThirdStreamsInfoDetail stream = result.getData().getStreams().get(0);
            assertEquals(3000000000L, stream.getOnlineUser());
            assertEquals(1, stream.getPulls().size());
            assertNull(stream.getFrameRate());
            assertNull(stream.getClientIP());
            assertNull(result.getRequestId());
            assertThrows(UnsupportedOperationException.class, () -> result.getData().getStreams().clear());
        }
    }

    @Test
    void dataOfAnotherTypeIsNoAnswer() {
        answers.add("{\"Data\":{\"Streams\":\"none\",\"RetCode\":0}}");
        try (KSCKSLClient client = client()) {
            NoAnswerException error = assertThrows(
                    NoAnswerException.class, () -> client.listRealtimeStreamsInfo(new ListRealtimeStreamsInfoRequest()));
            assertEquals(200, error.getStatusCode());
        }
    }

    @Test
    void failuresSayWhatToDo() {
        answers.add("{\"Data\":{\"RetCode\":8201,\"RetMsg\":\"stream is not on the blacklist\"},\"RequestId\":\"r1\"}");
        answers.add("{\"Error\":{\"Code\":\"NewCode\",\"Message\":\"new\"}}");
        answers.add("{\"Error\":{\"Code\":\"LimitExceeded\",\"Message\":\"x\"}}");
        try (KSCKSLClient client = client()) {
            GetBlacklistRequest request = new GetBlacklistRequest();
            BusinessException first = assertThrows(BusinessException.class, () -> client.getBlacklist(request));
            assertEquals(RetCodes.STREAM_IS_NOT_ON_THE_BLACKLIST, first.getRetCode());
            assertEquals("The stream is not forbidden, or no longer.", first.getAdvice());
            assertTrue(first.getMessage().contains("r1"), first.getMessage());
            GatewayException unknown = assertThrows(GatewayException.class, () -> client.getBlacklist(request));
            assertEquals(GatewayException.class, unknown.getClass());
            assertEquals("", unknown.getAdvice());
            assertThrows(LimitExceededException.class, () -> client.getBlacklist(request));
        }
        assertInstanceOf(GatewayException.class, Service.failure(418, "Teapot", "", "", false));
    }

    @Test
    void pagesAreAskedForWhenTheyAreReached() {
        String page = "{\"Data\":{\"Total\":4,\"Result\":[{\"Stream\":\"a\"},{\"Stream\":\"b\"}],\"RetCode\":0}}";
        answers.addAll(List.of(page, page));
        try (KSCKSLClient client = client()) {
            ListRealtimePubStreamsInfoRequest request =
                    ListRealtimePubStreamsInfoRequest.builder().uniqueName("demo").limit(2).build();
            Iterator<?> rows = client.listRealtimePubStreamsInfoPages(request).iterator();
            assertEquals(0, sent.size());
            rows.next();
            rows.next();
            assertEquals(1, sent.size());
            rows.next();
            rows.next();
            assertFalse(rows.hasNext());
            assertEquals(2, sent.size());
        }
    }

    @Test
    void codeForTheOlderSdkGoesOnWorking() {
        answers.add("{\"Data\":{\"RetCode\":0,\"RetMsg\":\"success\"}}");
        answers.add("{\"Data\":{\"RetCode\":0,\"RetMsg\":\"success\",\"Recs\":[]}}");
        try (KSCKSLClient client = client()) {
            ForbidStreamRequest forbid = new ForbidStreamRequest();
            forbid.setData("{\"Stream\":\"s\",\"UniqueName\":\"demo\"}");
            forbid.setForbidTillUnixTime(-1);
            int code = client.forbidStream(forbid).getData().getRetCode();
            assertEquals(0, code);
            String body = new String(sent.get(0).body, StandardCharsets.UTF_8);
            assertEquals("{\"UniqueName\":\"demo\",\"Stream\":\"s\",\"ForbidTillUnixTime\":-1}", body);
            GetBlacklistRequest list = new GetBlacklistRequest();
            list.setAction("KillStreamCache");
            list.setVersion("2016-01-01");
            assertEquals(List.of(), client.getBlacklist(list).getData().getRecs());
            assertEquals("/?Action=GetBlacklist&Version=2017-01-01", sent.get(1).target);
            forbid.setData("{\"Streem\":\"s\"}");
            assertThrows(UsageException.class, () -> client.forbidStream(forbid));
            assertThrows(UsageException.class, () -> forbid.setData("no JSON"));
        }
    }

    @Test
    void aBuilderDoesNotChangeWhatItBuilt() {
        ForbidStreamRequest.Builder builder = ForbidStreamRequest.builder().stream("a").dryRun(true);
        ForbidStreamRequest first = builder.build();
        builder.stream("b");
        assertEquals("a", first.getStream());
        assertEquals(Map.of("Stream", "a", "DryRun", "true"), first.toParameters());
    }

    @Test
    void aClosedClientIsNotUsed() {
        KSCKSLClient client = client();
        client.close();
        client.close();
        assertThrows(UsageException.class, () -> client.getBlacklist(new GetBlacklistRequest()));
        assertEquals(0, sent.size());
    }

    @Test
    void settingsThatCannotBeAreRefused() {
        KSCKSLClientBuilder builder = KSCKSLClient.builder();
        assertThrows(UsageException.class, () -> builder.retries(-1));
        assertThrows(UsageException.class, () -> builder.timeout(Duration.ZERO));
        assertThrows(UsageException.class, () -> builder.endpoint("kls.api.ksyun.com"));
        assertThrows(UsageException.class, () -> new BasicAWSCredentials("a", " "));
        assertFalse(KEY.toString().contains("SKTEST"));
    }

    @Test
    void credentialsOfTheFile(@TempDir Path folder) throws Exception {
        Path file = folder.resolve("credentials");
        Files.writeString(
                file,
                "[other]\naws_access_key_id=no\naws_secret_access_key=no\n# a comment = 1\n"
                        + "[default]\naws_access_key_id = AK \n ;x=y\naws_secret_access_key=S/K+=\n[last]\naws_access_key_id=no\n");
        AWSCredentials found = new ProfileCredentialsProvider(file, "default").getCredentials();
        assertEquals("AK", found.getAWSAccessKeyId());
        assertEquals("S/K+=", found.getAWSSecretKey());
        assertThrows(UsageException.class, () -> new ProfileCredentialsProvider(file, "last").getCredentials());
        Path absent = folder.resolve("absent");
        assertThrows(UsageException.class, () -> new ProfileCredentialsProvider(absent, "default").getCredentials());
    }

    @Test
    void theVersionIsThatOfTheArtifact() throws Exception {
        String pom = Files.readString(Path.of("pom.xml"));
        assertTrue(pom.contains("<artifactId>ksc-sdk-java-kls</artifactId>\n  <version>" + Service.SDK_VERSION + "</version>"));
    }
}
