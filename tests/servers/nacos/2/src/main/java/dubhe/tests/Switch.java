package dubhe.tests;

import com.alibaba.nacos.consistency.DataOperation;
import com.alibaba.nacos.consistency.SerializeFactory;
import com.alibaba.nacos.consistency.entity.WriteRequest;
import com.alibaba.nacos.naming.constants.Constants;
import com.alibaba.nacos.naming.core.v2.metadata.InstanceMetadata;
import com.alibaba.nacos.naming.core.v2.metadata.InstanceMetadataProcessor;
import com.alibaba.nacos.naming.core.v2.metadata.MetadataOperation;
import com.alibaba.nacos.naming.core.v2.pojo.InstancePublishInfo;
import com.google.protobuf.ByteString;
import org.springframework.context.ApplicationContext;

/** What an operator switches in the console. These jars lack Raft, by which it comes to each server: here it comes alone. */
final class Switch {
    /** Of the words: namespace, service, address, port and whether it is on. */
    static void set(ApplicationContext context, String[] words) {
        InstanceMetadata metadata = new InstanceMetadata();
        metadata.setEnabled(Boolean.parseBoolean(words[5]));
        MetadataOperation<InstanceMetadata> operation = new MetadataOperation<>();
        operation.setNamespace(words[1]);
        operation.setGroup("DEFAULT_GROUP");
        operation.setServiceName(words[2]);
        operation.setTag(InstancePublishInfo.genMetadataId(words[3], Integer.parseInt(words[4]), "DEFAULT"));
        operation.setMetadata(metadata);
        byte[] data = SerializeFactory.getDefault().serialize(operation);
        context.getBean(InstanceMetadataProcessor.class)
            .onApply(WriteRequest.newBuilder()
                .setGroup(Constants.INSTANCE_METADATA)
                .setData(ByteString.copyFrom(data))
                .setOperation(DataOperation.CHANGE.name())
                .build());
    }
}
