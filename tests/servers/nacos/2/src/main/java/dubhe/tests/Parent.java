package dubhe.tests;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.concurrent.atomic.AtomicReference;
import org.springframework.context.ApplicationContext;

/** The program that started this one: what it says is done, and this ends with it, however it ends, as its input closes then. */
final class Parent {
    private static final AtomicReference<ApplicationContext> SERVER = new AtomicReference<>();

    /** Begins to listen. */
    static void begin() {
        Thread watch = new Thread(() -> {
            try {
                BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
                for (String line = input.readLine(); line != null; line = input.readLine()) {
                    obey(line);
                }
            } catch (IOException gone) {
                // As good as the end.
            }
            Runtime.getRuntime().halt(3);
        });
        watch.setDaemon(true);
        watch.start();
    }

    /** The server runs, and can be told something. */
    static void serves(ApplicationContext server) {
        SERVER.set(server);
    }

    private static void obey(String line) {
        try {
            String[] words = line.split(" ");
            switch (words[0]) {
                case "remove" -> Entries.remove(SERVER.get());
                case "switch" -> Switch.set(SERVER.get(), words);
                default -> System.err.println("cannot do " + line);
            }
        } catch (RuntimeException failed) {
            failed.printStackTrace();
        }
    }
}
