"""Our fake as a process, and a proxy in front of it that writes down every exchange."""
import http.client
import http.server
import json
import subprocess
import threading
import urllib.parse


class Cloud:
    """The fake. Ends with the `with` block."""

    def __init__(self, program, folder):
        self.process = subprocess.Popen([program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        word, self.url, self.key = self.process.stdout.readline().split()
        assert word == "ready", word
        self.lock = threading.Lock()

    def tell(self, *words):
        with self.lock:
            self.process.stdin.write(" ".join(words) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # It ends with its standard input.
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Proxy:
    """Passes requests on to the fake, and keeps `exchanges`."""

    def __init__(self, url):
        target = urllib.parse.urlsplit(url).netloc
        exchanges = self.exchanges = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else b""
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "accept-encoding", "connection")}
                upstream = http.client.HTTPConnection(target, timeout=150)
                try:
                    upstream.request(self.command, self.path, body=body or None, headers=headers)
                    answer = upstream.getresponse()
                    content = answer.read()
                finally:
                    upstream.close()
                path, _, query = self.path.partition("?")
                exchanges.append({
                    "method": self.command, "path": urllib.parse.unquote(path), "query": urllib.parse.parse_qsl(query),
                    "sent": read_json(body), "status": answer.status, "answered": read_json(content),
                    "client": self.headers.get("User-Agent", ""),
                })
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = pass_on

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def read_json(content):
    try:
        return json.loads(content) if content else None
    except ValueError:
        return {"text": content[:200].decode("utf-8", "replace")}
