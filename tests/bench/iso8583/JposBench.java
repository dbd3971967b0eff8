import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jpos.iso.ISOBasePackager;
import org.jpos.iso.ISOMsg;
import org.jpos.iso.ISOUtil;
import org.jpos.iso.packager.ISO87APackager;
import org.jpos.iso.packager.ISO87APackagerBBitmap;
import org.jpos.iso.packager.ISO87BPackager;
import org.jpos.iso.packager.ISO93APackager;
import org.jpos.iso.packager.ISO93BPackager;

/**
 * The same for jPOS: JposBench SECONDS < MESSAGES, after as long to warm up. JposBench --able < MESSAGES prints the lines
 * whose message jPOS reads and writes back to the same bytes.
 */
public final class JposBench {
  private static final Map<String, ISOBasePackager> PACKAGERS = new HashMap<>();
  private static final OperatingSystemMXBean SYSTEM = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
  private static long sum; // so that nothing can be left out

  static {
    PACKAGERS.put("iso87-ascii", new ISO87APackager());
    PACKAGERS.put("iso87-ascii-binary-bitmap", new ISO87APackagerBBitmap());
    PACKAGERS.put("iso87-bcd", new ISO87BPackager());
    PACKAGERS.put("iso93-ascii", new ISO93APackager());
    PACKAGERS.put("iso93-bcd", new ISO93BPackager());
  }

  private record Sample(ISOBasePackager packager, byte[] bytes, ISOMsg message) {
    static Sample of(String line) throws Exception {
      String[] parts = line.split("\t");
      ISOBasePackager packager = PACKAGERS.get(parts[0]);
      if (packager == null) throw new IllegalArgumentException(parts[0]);
      byte[] bytes = ISOUtil.hex2byte(parts[1]);
      return new Sample(packager, bytes, decode(packager, bytes));
    }
  }

  private interface One {
    void on(Sample sample) throws Exception;
  }

  private static ISOMsg decode(ISOBasePackager packager, byte[] bytes) throws Exception {
    ISOMsg message = new ISOMsg();
    message.setPackager(packager);
    if (message.unpack(bytes) != bytes.length) throw new IllegalArgumentException("bytes left over");
    return message;
  }

  // Of the whole process, garbage collection and all: other processes on this core do not count.
  private static long cpuTime() {
    return SYSTEM.getProcessCpuTime();
  }

  private static double timeEach(List<Sample> samples, double seconds, One one) throws Exception {
    final int roundsALook = 64;
    long calls = 0;
    long begun = cpuTime();
    long now;
    do {
      for (int round = 0; round < roundsALook; ++round)
        for (Sample sample : samples) one.on(sample);
      calls += (long) roundsALook * samples.size();
      now = cpuTime();
    } while (now - begun < seconds * 1e9);
    return (double) (now - begun) / calls;
  }

  public static void main(String[] arguments) throws Exception {
    boolean ableOnly = arguments[0].equals("--able");
    List<Sample> samples = new ArrayList<>();
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      try {
        Sample sample = Sample.of(line);
        if (ableOnly && Arrays.equals(sample.message.pack(), sample.bytes)) System.out.println(line);
        samples.add(sample);
      } catch (Exception unable) {
        if (!ableOnly) throw unable;
      }
    }
    if (ableOnly) return;
    double seconds = Double.parseDouble(arguments[0]);
    One decodeOne = sample -> sum += decode(sample.packager, sample.bytes).getMaxField();
    One encodeOne = sample -> sum += sample.message.pack().length;
    timeEach(samples, seconds, decodeOne);
    timeEach(samples, seconds, encodeOne);
    double decoding = timeEach(samples, seconds, decodeOne);
    double encoding = timeEach(samples, seconds, encodeOne);
    System.out.printf(java.util.Locale.ROOT, "{\"decode_ns\": %.1f, \"encode_ns\": %.1f, \"messages\": %d, \"sum\": %d}%n", decoding, encoding,
        samples.size(), sum % 10);
  }
}
