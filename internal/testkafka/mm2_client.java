import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

import org.apache.kafka.connect.mirror.RemoteClusterUtils;

/** Prints a line "group, topic, partition, offset" (tabs between) for what RemoteClusterUtils translates. Arguments: name=value..., --, alias, groups... */
public class TranslateOffsets {
    public static void main(String[] args) throws Exception {
        Map<String, Object> properties = new HashMap<>();
        int i = 0;
        for (; !args[i].equals("--"); i++) {
            String[] p = args[i].split("=", 2);
            properties.put(p[0], p[1]);
        }
        String alias = args[i + 1];
        for (String group : Arrays.copyOfRange(args, i + 2, args.length)) {
            RemoteClusterUtils.translateOffsets(properties, alias, group, Duration.ofSeconds(60)).forEach((tp, o) ->
                System.out.print(group + "\t" + tp.topic() + "\t" + tp.partition() + "\t" + o.offset() + "\n"));
        }
        System.out.flush();
        System.exit(0);
    }
}
