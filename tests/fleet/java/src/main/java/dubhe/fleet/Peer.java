package dubhe.fleet;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.ServiceConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;

/**
 * A provider or a consumer of {@link Stock}, told by words {@code key=value}; tells what it sees in lines on
 * standard output, and ends in an orderly way when its input does.
 */
public final class Peer {
    private static final long TIMEOUT_MS = 3_000;

    public static void main(String[] args) throws Exception {
        Map<String, String> said = new HashMap<>();
        for (int i = 1; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            said.put(pair[0], pair[1]);
        }
        DubboBootstrap dubbo = DubboBootstrap.getInstance();
        dubbo.application(application(said)).registry(new RegistryConfig(said.get("registry")));
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        switch (args[0]) {
            case "provider" -> provide(dubbo, said, input);
            case "consumer" -> consume(dubbo, said, input);
            default -> throw new IllegalArgumentException("a peer is a provider or a consumer, not " + args[0]);
        }
        dubbo.stop();
        System.exit(0);
    }

    private static ApplicationConfig application(Map<String, String> said) {
        ApplicationConfig application = new ApplicationConfig(said.get("application"));
        application.setQosEnable(false);
        application.setMetadataType(said.getOrDefault("metadata", "remote"));
        application.setRegisterMode(said.getOrDefault("mode", "all"));
        return application;
    }

    private static void provide(DubboBootstrap dubbo, Map<String, String> said, BufferedReader input)
            throws Exception {
        String me = said.get("application");
        List<ProtocolConfig> protocols = new ArrayList<>(List.of(protocol("dubbo", said.get("port"))));
        if (said.containsKey("tri-port")) {
            protocols.add(protocol("tri", said.get("tri-port")));
        }
        ServiceConfig<Stock> service = new ServiceConfig<>();
        service.setInterface(Stock.class);
        service.setRef(asks -> me);
        dubbo.protocols(protocols).service(service).start();
        String urls = service.getExportedUrls().stream().map(Notified::text).collect(Collectors.joining(" "));
        say("ready " + urls);
        while (input.readLine() != null) {
            // Nothing is asked of a provider.
        }
    }

    private static ProtocolConfig protocol(String name, String port) {
        ProtocolConfig protocol = new ProtocolConfig(name, Integer.parseInt(port));
        // Else it binds and registers the address of an interface that loopback's peers may not reach.
        protocol.setHost("127.0.0.1");
        return protocol;
    }

    private static void consume(DubboBootstrap dubbo, Map<String, String> said, BufferedReader input)
            throws Exception {
        ReferenceConfig<Stock> reference = new ReferenceConfig<>();
        reference.setInterface(Stock.class);
        reference.setCheck(false);
        reference.setTimeout((int) TIMEOUT_MS);
        // A call that went astray shall be seen, not repaired.
        reference.setRetries(0);
        String step = switch (said.getOrDefault("mode", "all")) {
            case "interface" -> "FORCE_INTERFACE";
            case "instance" -> "FORCE_APPLICATION";
            default -> "APPLICATION_FIRST";
        };
        reference.setParameters(new HashMap<>(Map.of("migration.step", step)));
        dubbo.reference(reference).start();
        Stock stock = reference.get();
        say("ready");
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.split(" ");
            switch (words[0]) {
                case "call" -> call(stock, Integer.parseInt(words[1]));
                case "invokers" -> Notified.tellInvokers();
                default -> say("unknown " + line);
            }
        }
    }

    /** Makes so many calls, one after the other, and tells who answered how many. */
    private static void call(Stock stock, int count) {
        Map<String, Integer> by = new TreeMap<>();
        int failed = 0;
        String why = "";
        for (int i = 0; i < count; i++) {
            try {
                by.merge(stock.who("java"), 1, Integer::sum);
            } catch (RuntimeException failure) {
                failed++;
                why = String.valueOf(failure.getMessage()).replaceAll("\\s+", " ");
            }
        }
        String shares = by.entrySet().stream().map(share -> share.getKey() + ":" + share.getValue())
                .collect(Collectors.joining(","));
        say("called " + count + " ok=" + (count - failed) + " failed=" + failed + " by=" + shares + " why=" + why);
    }

    static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
