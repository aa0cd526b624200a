#!/bin/bash
# A web server and client of Java's library.
# needs: java
cat >S.java <<'J'
import com.sun.net.httpserver.*;
import java.net.*;
import java.net.http.*;
import java.util.concurrent.*;
public class S {
	public static void main(String[] a) throws Exception {
		HttpServer s = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
		s.setExecutor(Executors.newFixedThreadPool(4));
		s.createContext("/", x -> { byte[] b = x.getRequestBody().readAllBytes(); x.sendResponseHeaders(200, b.length + 1); x.getResponseBody().write(b); x.getResponseBody().write('!'); x.close(); });
		s.start();
		HttpClient c = HttpClient.newHttpClient();
		URI u = URI.create("http://127.0.0.1:" + s.getAddress().getPort() + "/");
		for (int i = 0; i < 10; i++)
			System.out.println(c.send(HttpRequest.newBuilder(u).POST(HttpRequest.BodyPublishers.ofString("x".repeat(i * 9999))).build(), HttpResponse.BodyHandlers.ofString()).body().length());
		try { new Socket("127.0.0.1", 1); } catch (ConnectException e) { System.out.println(e.getMessage()); }
		DatagramSocket d = new DatagramSocket(0, InetAddress.getLoopbackAddress());
		d.setSoTimeout(50);
		try { d.receive(new DatagramPacket(new byte[9], 9)); } catch (SocketTimeoutException e) { System.out.println(e.getMessage()); }
		s.stop(0);
		System.exit(0);
	}
}
J
java -XX:TieredStopAtLevel=1 S.java
rm S.java
