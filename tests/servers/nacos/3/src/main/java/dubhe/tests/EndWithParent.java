package dubhe.tests;

/** Ends this program with the one that started it, however that ends: its input closes then. */
final class EndWithParent {
    static void begin() {
        Thread watch = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {}
            } catch (java.io.IOException gone) {
                // As good as the end.
            }
            Runtime.getRuntime().halt(3);
        });
        watch.setDaemon(true);
        watch.start();
    }
}
