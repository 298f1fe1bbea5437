package dubhe.tests;

import com.alibaba.nacos.api.naming.pojo.Instance;
import com.alibaba.nacos.naming.core.v2.client.Client;
import com.alibaba.nacos.naming.core.v2.client.manager.ClientManagerDelegate;
import com.alibaba.nacos.naming.core.v2.pojo.Service;
import com.alibaba.nacos.naming.core.v2.service.impl.EphemeralClientOperationServiceImpl;
import java.util.List;
import org.springframework.context.ApplicationContext;

/** Entries of clients whose connections live. No API of the server removes them but that of the connection itself. */
final class Entries {
    /** Removes all of them, as if each client had asked for it; their connections stay. */
    static void remove(ApplicationContext context) {
        ClientManagerDelegate clients = context.getBean(ClientManagerDelegate.class);
        EphemeralClientOperationServiceImpl server = context.getBean(EphemeralClientOperationServiceImpl.class);
        for (String id : clients.allClientId()) {
            Client client = clients.getClient(id);
            // It may have gone, or be an entry that stays without a client.
            if (client == null || !client.isEphemeral()) {
                continue;
            }
            for (Service service : List.copyOf(client.getAllPublishedService())) {
                server.deregisterInstance(service, new Instance(), id);
            }
        }
    }
}
