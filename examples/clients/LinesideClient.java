// Asks Lineside about one picture after another, over one connection; what has no answer in time is decided by hand.
//
//     java LinesideClient.java http://127.0.0.1:8000 2.6 photo-1.jpg photo-2.jpg
//
// 2.6 is the pitch: seconds from carcass to carcass, at 1,400 an hour. Needs nothing but a JDK 17.

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.HttpTimeoutException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.regex.Pattern;

class LinesideClient {
    static final long SLACK_MS = 300; // for the network: the server's deadline ends so much before ours
    static final long LEAST_MS = 200; // with less than this left, asking once more is in vain

    // Keeps its connections. HTTP/2 is not offered: the server speaks HTTP/1.1.
    static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    /** A line for people; the decision is by hand where there is no answer within the pitch. */
    static String ask(String address, byte[] picture, long pitchMs) throws InterruptedException {
        long ends = System.nanoTime() / 1_000_000 + pitchMs;
        long waitMs = 0;
        String problem = "no time";
        for (int attempt = 0; attempt < 2; attempt++) {
            long leftMs = ends - System.nanoTime() / 1_000_000 - SLACK_MS - waitMs;
            if (leftMs < LEAST_MS) break;
            Thread.sleep(waitMs);
            HttpRequest request = HttpRequest.newBuilder(URI.create(address + "/predict?deadline_ms=" + leftMs))
                .timeout(Duration.ofMillis(leftMs + SLACK_MS)).POST(BodyPublishers.ofByteArray(picture)).build();
            HttpResponse<String> reply;
            try {
                reply = CLIENT.send(request, BodyHandlers.ofString());
            } catch (HttpTimeoutException late) {
                return "decide by hand (no answer)";
            } catch (IOException broken) { // a kept connection that was closed meanwhile, perhaps: a new one, at once
                problem = broken.toString();
                waitMs = 0;
                continue;
            }
            String body = reply.body(); // perhaps not Lineside's, but of a gateway before it with words of its own
            String answer = field(body, "class", "");
            if (reply.statusCode() == 200 && !answer.isEmpty()) return answer + " " + field(body, "probability", "?");
            problem = field(body, "code", "" + reply.statusCode()) + ": " + field(body, "detail", "not an answer of Lineside");
            if (reply.statusCode() != 503) break; // only want of room passes by itself
            String retryAfter = reply.headers().firstValue("Retry-After").orElse("");
            waitMs = retryAfter.matches("\\d{1,6}") ? 1000 * Long.parseLong(retryAfter) : 1000;
        }
        return "decide by hand (" + problem + ")";
    }

    /** The first of this name; the JDK reads no JSON, your program's library does it better. */
    static String field(String json, String name, String otherwise) {
        var found = Pattern.compile('"' + name + "\"\\s*:\\s*(?:\"((?:[^\"\\\\]|\\\\.)*)\"|([-+.\\deE]+))").matcher(json);
        if (!found.find()) return otherwise;
        return found.group(1) != null ? found.group(1) : found.group(2);
    }

    public static void main(String[] arguments) throws Exception {
        String address = arguments[0].replaceAll("/+$", "");
        long pitchMs = Math.round(1000 * Double.parseDouble(arguments[1]));
        for (int index = 2; index < arguments.length; index++) {
            byte[] picture = Files.readAllBytes(Path.of(arguments[index]));
            System.out.println(arguments[index] + ": " + ask(address, picture, pitchMs));
        }
    }
}
