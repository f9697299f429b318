//! The connector of `connector.py` in Rust: it polls the device log by v3.3 once, and is made to be run again and again.
//!
//! `opswat-mock check -- target/release/examples/polling`
//!
//! Its windows overlap, because the log is written late. It stores a window when it has all pages of it, records first, and then
//! replaces its checkpoint, which has the length of the file of records: what a crash left behind it is cut off at the next start.

use std::{
    collections::BTreeMap,
    env, fmt,
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How far windows reach back, and how long a window may be, in milliseconds.
const OVERLAP_MS: i64 = 4 * 3_600_000;
const SLICE_MS: i64 = 7 * 24 * 3_600_000;
/// The number of failures after which it gives up, and of waits for the quota.
const ATTEMPTS: u32 = 6;
const MAX_WAITS: u32 = 60;
/// The longest wait for the quota, in seconds.
const MAX_WAIT: f64 = 900.0;

/// Why there is no page.
#[derive(Debug)]
enum Refused {
    Status(u16),
    /// The client has lost its right. Asking again does not give it back.
    Client,
    /// The seconds to wait.
    TooMany(f64),
    Other(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Client => f.write_str("the client is refused"),
            Self::TooMany(_) => f.write_str("too many requests"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Other(error.to_string())
    }
}

/// What it knows when it starts again.
#[derive(Deserialize, Serialize)]
struct Checkpoint {
    /// Until when it has read the log, in milliseconds since 1970.
    until: i64,
    /// The length of the file of records.
    length: u64,
    /// The hashes and the times of the records that the next window has, too.
    seen: BTreeMap<String, i64>,
    token: Option<String>,
}

struct Connector {
    agent: ureq::Agent,
    url: String,
    state: PathBuf,
    out: File,
    since: i64,
    checkpoint: Checkpoint,
}

fn variable(name: &str) -> Result<String, Refused> {
    env::var(format!("OPSWAT_{name}")).map_err(|_| Refused::Other(format!("OPSWAT_{name} is not set")))
}

fn millis(text: &str) -> Result<i64, Refused> {
    let at: jiff::Timestamp = text.parse().map_err(|error| Refused::Other(format!("{text}: {error}")))?;
    Ok(at.as_millisecond())
}

impl Connector {
    fn new(state: PathBuf) -> Result<Self, Refused> {
        let since = millis(&variable("SINCE")?)?;
        let mut checkpoint = Checkpoint { until: since, length: 0, seen: BTreeMap::new(), token: None };
        if let Ok(text) = fs::read(state.join("checkpoint.json")) {
            checkpoint = serde_json::from_slice(&text).map_err(|error| Refused::Other(error.to_string()))?;
        }
        let mut out = OpenOptions::new().create(true).truncate(false).write(true).open(variable("OUT")?)?;
        out.set_len(checkpoint.length)?;
        out.seek(SeekFrom::End(0))?;
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.timeout_global(Some(Duration::from_secs(30))).build().into();
        Ok(Self { agent, url: variable("URL")?, state, out, since, checkpoint })
    }

    /// The time of the service.
    fn now(&self) -> Result<i64, Refused> {
        match (variable("NOW"), variable("CLOCK_URL")) {
            (Ok(now), _) => millis(&now),
            (Err(_), Ok(url)) => {
                let text = self.agent.get(url).call().and_then(|mut answer| answer.body_mut().read_to_string());
                let clock: Value = text.ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
                millis(clock["now"].as_str().unwrap_or_default())
            }
            (Err(_), Err(_)) => Ok(jiff::Timestamp::now().as_millisecond()),
        }
    }

    fn sleep(&self, seconds: f64) {
        match variable("SLEEP_URL") {
            Ok(url) => {
                let body = json!({ "seconds": seconds }).to_string();
                // A wait that fails is a short one.
                let _ = self.agent.post(url).header("Content-Type", "application/json").send(body);
            }
            Err(_) => thread::sleep(Duration::from_secs_f64(seconds)),
        }
    }

    fn fetch_token(&self) -> Result<String, Refused> {
        let (id, secret) = (variable("CLIENT_ID")?, variable("CLIENT_SECRET")?);
        let form = [("grant_type", "client_credentials"), ("client_id", &id), ("client_secret", &secret)];
        let answer = self.agent.post(format!("{}/o/oauth/token", self.url)).send_form(form);
        let mut answer = answer.map_err(|error| Refused::Other(error.to_string()))?;
        match answer.status().as_u16() {
            200 => {}
            401 => return Err(Refused::Client),
            status => return Err(Refused::Other(format!("no token: {status}"))),
        }
        let text = answer.body_mut().read_to_string().map_err(|error| Refused::Other(error.to_string()))?;
        let token: Value = serde_json::from_str(&text).map_err(|error| Refused::Other(error.to_string()))?;
        token["access_token"].as_str().map(str::to_owned).ok_or_else(|| Refused::Other("no token".to_owned()))
    }

    fn ask_once(&mut self, query: &Value) -> Result<Value, Refused> {
        let token = match self.checkpoint.token.clone() {
            Some(token) => token,
            None => self.fetch_token()?,
        };
        self.checkpoint.token = Some(token.clone());
        let request = self.agent.post(format!("{}/o/api/v3.3/logs", self.url));
        let request = request.header("Authorization", format!("Bearer {token}"));
        let answer = request.header("Content-Type", "application/json").send(query.to_string());
        let mut answer = answer.map_err(|error| Refused::Other(error.to_string()))?;
        match answer.status().as_u16() {
            200 => {}
            429 => return Err(Refused::TooMany(wait_of(answer.headers()))),
            status => {
                if status == 401 {
                    self.checkpoint.token = None;
                }
                return Err(Refused::Status(status));
            }
        }
        let body = answer.body_mut().with_config().limit(64 << 20).read_to_vec();
        let body = body.map_err(|error| Refused::Other(error.to_string()))?;
        let page: Value =
            serde_json::from_slice(&body).map_err(|error| Refused::Other(format!("not JSON: {error}")))?;
        if page["data"].is_array() { Ok(page) } else { Err(Refused::Other("no page".to_owned())) }
    }

    fn ask(&mut self, query: &Value) -> Result<Value, Refused> {
        let (mut failures, mut waits) = (0, 0);
        loop {
            match self.ask_once(query) {
                Err(Refused::TooMany(wait)) if waits < MAX_WAITS => {
                    // Also where it asks for less, the waits grow.
                    self.sleep(wait.max(2_f64.powi(waits.cast_signed()).min(MAX_WAIT)));
                    waits += 1;
                }
                Err(Refused::Status(401)) if failures + 1 < ATTEMPTS => failures += 1,
                Err(error @ (Refused::Client | Refused::TooMany(_) | Refused::Status(400 | 406))) => return Err(error),
                Err(_) if failures + 1 < ATTEMPTS => {
                    self.sleep(2_f64.powi(failures.cast_signed()));
                    failures += 1;
                }
                answer => return answer,
            }
        }
    }

    /// The events of a window by their hashes, with their times.
    fn read(&mut self, from: i64, to: i64) -> Result<BTreeMap<String, (i64, Value)>, Refused> {
        'window: for _ in 0..3 {
            let mut query =
                json!({ "event_category": "device", "start_time": from, "end_time": to, "limit": 100, "token": "" });
            let (mut events, mut pages) = (BTreeMap::new(), Vec::new());
            loop {
                let mut page = match self.ask(&query) {
                    // The page token is too old: the window is read from its first page.
                    Err(Refused::Status(400)) => continue 'window,
                    answer => answer?,
                };
                for row in page["data"].as_array_mut().map(std::mem::take).unwrap_or_default() {
                    let at = millis(row["timestamp"].as_str().unwrap_or_default())?;
                    events.insert(hash(&row), (at, row));
                }
                let asked = (query["token"].clone(), page["token"].clone());
                if pages.contains(&asked) {
                    return Err(Refused::Other("the pages have no end".to_owned()));
                }
                query["token"] = asked.1.clone();
                if asked.1.as_str().is_none_or(str::is_empty) {
                    return Ok(events);
                }
                pages.push(asked);
            }
        }
        Err(Refused::Other("the pages end before they are read".to_owned()))
    }

    fn store(&mut self, events: BTreeMap<String, (i64, Value)>, until: i64) -> Result<(), Refused> {
        let mut new: Vec<_> = events.into_iter().filter(|(key, _)| !self.checkpoint.seen.contains_key(key)).collect();
        new.sort_by_key(|(_, (at, _))| *at);
        let mut lines = Vec::new();
        for (_, (_, row)) in &new {
            lines.extend_from_slice(row.to_string().as_bytes());
            lines.push(b'\n');
        }
        self.out.write_all(&lines)?;
        self.out.sync_all()?;
        self.checkpoint.length += lines.len() as u64;
        self.checkpoint.seen.retain(|_, at| *at >= until - OVERLAP_MS);
        self.checkpoint.seen.extend(new.into_iter().map(|(key, (at, _))| (key, at)));
        // A clock that was set back does not move it back.
        self.checkpoint.until = self.checkpoint.until.max(until);
        replace(&self.state.join("checkpoint.json"), &json!(self.checkpoint).to_string())?;
        Ok(())
    }

    fn poll(&mut self) -> Result<(), Refused> {
        let mut from = self.since.max(self.checkpoint.until - OVERLAP_MS);
        let to = from.max(self.now()?);
        loop {
            let until = to.min(from + SLICE_MS);
            let events = self.read(from, until)?;
            self.store(events, until)?;
            if until == to {
                return Ok(());
            }
            from = until - 60_000;
        }
    }
}

/// The seconds that a 429 asks to wait.
fn wait_of(headers: &ureq::http::HeaderMap) -> f64 {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp().as_second());
    let now = text("date").and_then(date).unwrap_or_else(|| jiff::Timestamp::now().as_second());
    // Some minutes fit into a float.
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let until = |at: i64| (at - now) as f64;
    let told = text("retry-after").and_then(|told| told.parse().ok().or_else(|| date(told).map(until)));
    let told = told.or_else(|| text("x-ratelimit-reset-time")?.parse().ok().map(until));
    told.unwrap_or(60.0).clamp(1.0, MAX_WAIT)
}

fn hash(row: &Value) -> String {
    BASE64_STANDARD.encode(Sha256::digest(row.to_string()))
}

/// Writes a file that is whole, or not there, whatever happens.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let next = path.with_extension("new");
    let mut file = File::create(&next)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(next, path)
}

fn run() -> Result<(), Refused> {
    let state = PathBuf::from(variable("STATE_DIR")?);
    let lock = File::create(state.join("lock"))?;
    if lock.try_lock().is_err() {
        // Another instance is at work.
        return Ok(());
    }
    let mut connector = Connector::new(state)?;
    let had_token = connector.checkpoint.token.clone();
    let result = connector.poll();
    if result.is_err() && connector.checkpoint.token != had_token {
        // The next poll needs no other one. Nothing else has moved.
        replace(&connector.state.join("checkpoint.json"), &json!(connector.checkpoint).to_string())?;
    }
    result
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gave up: {error}");
            ExitCode::FAILURE
        }
    }
}
