package dubhe.fleet;

import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.apache.dubbo.common.URL;
import org.apache.dubbo.common.extension.Activate;
import org.apache.dubbo.metadata.MetadataInfo;
import org.apache.dubbo.registry.AddressListener;
import org.apache.dubbo.registry.client.InstanceAddressURL;
import org.apache.dubbo.registry.integration.DynamicDirectory;
import org.apache.dubbo.rpc.cluster.Directory;

/** Stands where the registry layer hands a list to a directory of the consumer, and tells of each. */
@Activate
public final class Notified implements AddressListener {
    /** The directories by level, as Dubbo made them. */
    private static final Map<String, DynamicDirectory<?>> DIRECTORIES = new ConcurrentHashMap<>();

    @Override
    public List<URL> notify(List<URL> addresses, URL consumerUrl, Directory registryDirectory) {
        DynamicDirectory<?> directory = (DynamicDirectory<?>) registryDirectory;
        String level = directory.isServiceDiscovery() ? "application" : "interface";
        DIRECTORIES.put(level, directory);
        // That nobody is there is an entry of its own; no entry is the notification of another category.
        if (!addresses.isEmpty() || directory.isServiceDiscovery()) {
            List<URL> listed = addresses.stream().filter(url -> !"empty".equals(url.getProtocol())).toList();
            String urls = listed.stream().map(Notified::text).collect(Collectors.joining(" "));
            Peer.say("notified " + level + " " + listed.size() + " " + urls);
        }
        return addresses;
    }

    /** Which addresses the directories would call now. */
    static void tellInvokers() {
        StringBuilder told = new StringBuilder("invokers");
        new TreeMap<>(DIRECTORIES).forEach((level, directory) -> told.append(' ').append(level).append('=')
                .append(directory.getAllInvokers().stream().map(invoker -> invoker.getUrl().getAddress()).sorted()
                        .collect(Collectors.joining(","))));
        Peer.say(told.toString());
    }

    /** As a full URL with encoded values; an instance's own text is meant for people. */
    static String text(URL url) {
        Map<String, String> params = new TreeMap<>(url.getParameters());
        if (url instanceof InstanceAddressURL instance) {
            // Its parameters are overlaid by those of the consumer: these are what the provider has said.
            params = new TreeMap<>(instance.getInstance().getMetadata());
            for (MetadataInfo.ServiceInfo service : instance.getMetadataInfo().getServices().values()) {
                if (service.getName().equals(url.getServiceInterface()) && service.getProtocol().equals(url.getProtocol())) {
                    params.putAll(service.getParams());
                }
            }
            params.put("application", instance.getRemoteApplication());
        }
        String query = params.entrySet().stream()
                .map(param -> encode(param.getKey()) + "=" + encode(param.getValue()))
                .collect(Collectors.joining("&"));
        return url.getProtocol() + "://" + url.getAddress() + "/" + url.getPath() + "?" + query;
    }

    private static String encode(String text) {
        return URLEncoder.encode(text == null ? "" : text, StandardCharsets.UTF_8);
    }
}
