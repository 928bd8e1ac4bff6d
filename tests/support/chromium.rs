//! A headless Chromium, driven by its DevTools protocol over a pair of pipes: no port, no driver, no crate.
//! (chromedevtools.github.io/devtools-protocol; `--remote-debugging-pipe`: JSON, a NUL byte behind each message.)
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long the browser may take for one answer, also on a host that is busy.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// A browser with one page.
pub(crate) struct Chromium {
    child: Child,
    requests: Option<ChildStdin>,
    messages: Receiver<Value>,
    session: Option<String>,
    last_id: u64,
    events: VecDeque<Value>,
    _profile: tempfile::TempDir,
}

/// The browser of this host.
fn program() -> &'static str {
    let is_there = |name: &&&str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
    };
    NAMES.iter().find(is_there).unwrap_or_else(|| {
        panic!("no Chromium in PATH: run .ci/install-deps, or install the package chromium (or google-chrome)")
    })
}

impl Chromium {
    /// Starts a browser that asks nobody for anything, with an empty page.
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        // A shell puts the pipes where Chromium looks for them.
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#, program()]);
        command.args([
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-first-run",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-extensions",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--host-resolver-rules=MAP * ~NOTFOUND",
        ]);
        if nix::unistd::geteuid().is_root() {
            // Chromium's sandbox refuses root, and a CI job is often root.
            command.arg("--no-sandbox");
        }
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.arg("about:blank");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let requests = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while answers.read_until(0, &mut message).is_ok_and(|count| count > 0) {
                message.pop();
                let Ok(json) = serde_json::from_slice(&message) else {
                    return;
                };
                if sender.send(json).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            child,
            requests,
            messages,
            session: None,
            last_id: 0,
            events: VecDeque::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attached = browser.call(
            "Target.attachToTarget",
            &json!({ "targetId": target["targetId"], "flatten": true }),
        );
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Gives a command; its answer.
    pub(crate) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut request = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            request["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&request).unwrap();
        bytes.push(0);
        self.requests.as_mut().unwrap().write_all(&bytes).unwrap();
        loop {
            let message = self.message(method);
            if message["id"] == id {
                assert!(message.get("error").is_none(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push_back(message);
        }
    }

    fn message(&mut self, awaited: &str) -> Value {
        let message = self.messages.recv_timeout(ANSWER_WITHIN);
        message.unwrap_or_else(|error| panic!("{awaited}: the browser says nothing: {error}"))
    }

    /// Waits for an event, one that came before included.
    pub(crate) fn wait(&mut self, method: &str) {
        let until = Instant::now() + ANSWER_WITHIN;
        if let Some(at) = self.events.iter().position(|event| event["method"] == method) {
            self.events.remove(at);
            return;
        }
        while Instant::now() < until {
            let message = self.message(method);
            if message["method"] == method {
                return;
            }
            self.events.push_back(message);
        }
        panic!("{method} does not come");
    }

    /// Opens a file and waits until it is loaded.
    pub(crate) fn open(&mut self, page: &Path, fragment: &str) {
        self.events.retain(|event| event["method"] != "Page.loadEventFired");
        // Another fragment alone would load nothing.
        self.call("Page.navigate", &json!({ "url": "about:blank" }));
        self.wait("Page.loadEventFired");
        let url = format!("file://{}{fragment}", page.display());
        self.call("Page.navigate", &json!({ "url": url }));
        self.wait("Page.loadEventFired");
    }

    /// The value of an expression in the page; a promise's, once it is kept.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", &parameters);
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{}: {}",
            expression.chars().take(200).collect::<String>(),
            answer["exceptionDetails"]
        );
        answer["result"]["value"].clone()
    }

    /// Presses a key as a person does.
    pub(crate) fn press(&mut self, key: &str) {
        self.press_with(key, 0);
    }

    /// Presses a key with modifiers: 1 alt, 2 control, 8 shift.
    pub(crate) fn press_with(&mut self, key: &str, modifiers: u32) {
        let (code, number) = match key {
            "Tab" => ("Tab", 9),
            "Enter" => ("Enter", 13),
            "Escape" => ("Escape", 27),
            "End" => ("End", 35),
            "Home" => ("Home", 36),
            "ArrowDown" => ("ArrowDown", 40),
            "/" => ("Slash", 191),
            _ => ("", u32::from(key.as_bytes()[0].to_ascii_uppercase())),
        };
        let text = match key {
            "Enter" => Some("\r"),
            one if one.chars().count() == 1 => Some(one),
            _ => None,
        };
        let mut event = json!({ "type": "keyDown", "key": key, "code": code, "modifiers": modifiers,
            "windowsVirtualKeyCode": number });
        if let Some(text) = text {
            event["text"] = json!(text);
        }
        self.call("Input.dispatchKeyEvent", &event);
        event["type"] = json!("keyUp");
        if let Some(event) = event.as_object_mut() {
            event.remove("text");
        }
        self.call("Input.dispatchKeyEvent", &event);
    }

    /// Types a text.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", &json!({ "text": text }));
    }

    /// Shows the page in `light` or `dark`, this many pixels wide.
    pub(crate) fn look(&mut self, scheme: &str, width: u32, height: u32) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call(
            "Emulation.setEmulatedMedia",
            &json!({ "media": "", "features": features }),
        );
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// A picture of what is seen, as PNG.
    pub(crate) fn picture(&mut self) -> Vec<u8> {
        use base64ct::{Base64, Encoding as _};
        let shot = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        Base64::decode_vec(shot["data"].as_str().unwrap()).unwrap()
    }

    /// What went wrong in the page so far: messages of the console, exceptions, and requests that leave the file.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let complaint = |event: &Value| {
            let told = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Runtime.exceptionThrown" => Some(format!("exception: {}", told["exceptionDetails"])),
                "Runtime.consoleAPICalled" => Some(format!("console: {}", told["args"])),
                "Log.entryAdded" => Some(format!("log: {}", told["entry"])),
                "Network.requestWillBeSent" => {
                    let url = told["request"]["url"].as_str().unwrap_or_default();
                    let inside = ["file:", "data:", "about:"]
                        .iter()
                        .any(|scheme| url.starts_with(scheme));
                    (!inside).then(|| format!("request: {url}"))
                }
                _ => None,
            }
        };
        self.events.iter().filter_map(complaint).collect()
    }

    /// How many files were asked for, the page itself included.
    pub(crate) fn files_asked_for(&self) -> usize {
        let is_file = |event: &&Value| {
            let url = event["params"]["request"]["url"].as_str().unwrap_or_default();
            event["method"] == "Network.requestWillBeSent" && url.starts_with("file:")
        };
        self.events.iter().filter(is_file).count()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Without its pipe it ends by itself, and takes its helpers with it.
        self.requests = None;
        let until = Instant::now() + Duration::from_secs(5);
        while self.messages.recv_timeout(Duration::from_millis(500)).is_ok() && Instant::now() < until {}
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
