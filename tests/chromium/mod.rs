//! A browser that runs a script in a page of a folder, with WebGPU on SwiftShader.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The longest that a script may take.
const LIMIT: Duration = Duration::from_secs(600);

/// A browser on this machine.
pub struct Browser(PathBuf);

/// The page that runs `test.js` and posts what it returns.
const PAGE: &str = "<!doctype html><meta charset=utf-8><link rel=icon href=data:,><body><script type=module>
const post = (value) => fetch('/result', { method: 'POST', body: JSON.stringify(value) });
try {
  const test = new (Object.getPrototypeOf(async () => {}).constructor)(await (await fetch('/test.js')).text());
  await post(await test());
} catch (error) {
  await post({ problems: [String(error.stack ?? error)] });
}
</script>";

impl Browser {
    /// That of `DOWNHILL_CHROMIUM`, or on the PATH. Where there is none, it prints that the test is skipped.
    pub fn find() -> Option<Browser> {
        let named = std::env::var_os("DOWNHILL_CHROMIUM").filter(|name| !name.is_empty()).map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let places: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let on_path = || {
            names
                .iter()
                .flat_map(|name| places.iter().map(move |dir| dir.join(name)))
                .find(|file| file.is_file())
        };
        let found = named.or_else(on_path);
        if found.is_none() {
            println!("skipped: no browser; set DOWNHILL_CHROMIUM, or run scripts/setup-chromium.sh");
        }
        found.map(Browser)
    }

    /// The document of a file after its scripts.
    pub fn dom(&self, page: &Path) -> String {
        let profile = tempfile::tempdir().expect("a folder");
        let output = self
            .command(profile.path())
            .arg("--dump-dom")
            .arg(format!("file://{}", page.display()))
            .stderr(Stdio::null())
            .output()
            .expect("the browser starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The browser without a window, with WebGPU, and with an empty profile.
    fn command(&self, profile: &Path) -> Command {
        let mut command = Command::new(&self.0);
        command
            .args(["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--disable-gpu-watchdog"])
            .arg(format!("--user-data-dir={}", profile.display()));
        command
    }

    /// Serves `folder`, runs the body of an async function in a page of it, and gives what it returned.
    #[track_caller]
    pub fn run(&self, folder: &Path, script: &str) -> Value {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let profile = tempfile::tempdir().expect("a folder");
        let mut browser = self
            .command(profile.path())
            .arg(format!("http://{address}/test.html"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser starts");
        let start = Instant::now();
        let answer = loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    if let Some(answer) = serve(stream, folder, script) {
                        break answer;
                    }
                }
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
            let ended = browser.try_wait().expect("a process");
            assert!(ended.is_none(), "the browser ended: {ended:?}");
            if start.elapsed() > LIMIT {
                browser.kill().expect("the browser ends");
                panic!("no answer in {LIMIT:?}");
            }
        };
        browser.kill().expect("the browser ends");
        browser.wait().expect("the browser ends");
        serde_json::from_str(&answer).expect("JSON")
    }
}

/// Answers one request: `Some` for the result.
fn serve(stream: TcpStream, folder: &Path, script: &str) -> Option<String> {
    stream.set_nonblocking(false).expect("a socket");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let path = first.split(' ').nth(1)?.trim_start_matches('/').to_owned();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (status, kind, content) = match path.as_str() {
        "result" => ("200 OK", "text/plain", Vec::new()),
        "test.html" => ("200 OK", "text/html", PAGE.into()),
        "test.js" => ("200 OK", "text/plain", script.into()),
        _ => match std::fs::read(folder.join(&path)) {
            Ok(content) => ("200 OK", media_type(&path), content),
            Err(_) => ("404 Not Found", "text/plain", Vec::new()),
        },
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    );
    let mut stream = reader.into_inner();
    // The browser may have gone away.
    let _ = stream.write_all(&[head.as_bytes(), &content].concat());
    (path == "result").then(|| String::from_utf8_lossy(&body).into_owned())
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html",
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("json") => "application/json",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}
