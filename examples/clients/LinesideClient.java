// Asks Lineside about one picture after another, over one connection; what has no answer in time is decided by hand.
//
//     java LinesideClient.java http://127.0.0.1:8000 2.6 photo-1.jpg photo-2.jpg
//
// 2.6 is the pitch: seconds from carcass to carcass, at 1,400 an hour. Where several models are served, the address names
// one: http://127.0.0.1:8000?model=pig-sex. Needs nothing but a JDK 17.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;

class LinesideClient {
    static final long SLACK_MS = 300; // for the network: the server's deadline ends so much before ours
    static final long LEAST_MS = 200; // with less than this left, asking once more is in vain

    // Keeps its connections. HTTP/2 is not offered: the server speaks HTTP/1.1.
    static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    /** A line for people; the decision is by hand where there is no answer within the pitch. The address ends where its next parameter goes. */
    static String ask(String address, byte[] picture, long pitchMs) throws InterruptedException {
        long ends = System.nanoTime() / 1_000_000 + pitchMs;
        long waitMs = 0;
        String problem = "no time";
        for (int attempt = 0; attempt < 2; attempt++) {
            long leftMs = ends - System.nanoTime() / 1_000_000 - SLACK_MS - waitMs;
            if (leftMs < LEAST_MS) break;
            Thread.sleep(waitMs);
            HttpRequest request = HttpRequest.newBuilder(URI.create(address + "deadline_ms=" + leftMs))
                .POST(BodyPublishers.ofByteArray(picture)).build();
            // Not the request's own timeout, which ends with the head of the answer: a bad network brings the rest at any time.
            var asked = CLIENT.sendAsync(request, BodyHandlers.ofString());
            HttpResponse<String> reply;
            try {
                reply = asked.get(leftMs + SLACK_MS, TimeUnit.MILLISECONDS);
            } catch (TimeoutException late) {
                asked.cancel(true);
                return "decide by hand (no answer)";
            } catch (ExecutionException broken) { // a kept connection that was closed meanwhile, perhaps: a new one, at once
                problem = broken.getCause().toString();
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
        String[] address = arguments[0].split("[?]", 2);
        String before = address[0].replaceAll("/+$", "") + "/predict?" + (address.length > 1 ? address[1] + "&" : "");
        long pitchMs = Math.round(1000 * Double.parseDouble(arguments[1]));
        for (int index = 2; index < arguments.length; index++) {
            byte[] picture = Files.readAllBytes(Path.of(arguments[index]));
            System.out.println(arguments[index] + ": " + ask(before, picture, pitchMs));
        }
    }
}
