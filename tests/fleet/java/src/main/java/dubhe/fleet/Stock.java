package dubhe.fleet;

/** What every provider of the fleet offers; it answers with who it is. */
public interface Stock {
    String who(String asks);
}
