import java.util.stream.Stream;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import software.amazon.dynamodb.services.local.main.ServerRunner;
import software.amazon.dynamodb.services.local.server.DynamoDBProxyServer;

/** Amazon's DynamoDB Local on the loopback interface only: its own command line binds every address. */
public class DynamoDBLocalLoopback {
    public static void main(String[] options) throws Exception {
        DynamoDBProxyServer dynamodb = ServerRunner.createServerFromCommandLineArgs(options);
        var field = DynamoDBProxyServer.class.getDeclaredField("server");
        field.setAccessible(true);
        Server jetty = (Server) field.get(dynamodb);
        Stream.of(jetty.getConnectors()).forEach(each -> ((ServerConnector) each).setHost("127.0.0.1"));
        dynamodb.safeStart();
        dynamodb.join();
    }
}
