//! A `redis-server` of the test's own, on a free loopback port, with its data in a temporary folder.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Ports are picked before the server takes them; somebody else may be faster, and a Cluster's node
/// needs the port 10,000 above as well, which is none for every fifth.
const ATTEMPTS: usize = 10;

/// What a server and what a Sentinel writes to its log once it answers.
const READY: [&str; 2] = ["Ready to accept connections", "+monitor master"];

/// A running server; it is killed when this is dropped.
pub(crate) struct RedisServer {
    folder: TempDir,
    options: Vec<String>,
    port: u16,
    child: Option<Child>,
}

impl RedisServer {
    /// Without persistence.
    pub(crate) fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"])
    }

    /// With more options of `redis-server`, for example `["--appendonly", "yes"]`.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        Self::start_in(temporary_folder(), options)
    }

    /// A Sentinel with this configuration.
    pub(crate) fn start_sentinel(configuration: &str) -> Self {
        let folder = temporary_folder();
        let path = folder.path().join("sentinel.conf");
        std::fs::write(&path, configuration).expect("to write the configuration");
        let path = path.to_string_lossy().into_owned();
        // A Sentinel takes no option in place of its file.
        Self::start_in(folder, vec![path, "--sentinel".to_owned()])
    }

    fn start_in(folder: TempDir, options: Vec<String>) -> Self {
        let mut server = Self {
            folder,
            options,
            port: 0,
            child: None,
        };
        for _ in 0..ATTEMPTS {
            server.port = free_port();
            server.child = server.spawn();
            if server.child.is_some() {
                return server;
            }
        }
        panic!("redis-server took no port in {ATTEMPTS} attempts");
    }

    /// Its address, for `REDIS_URL`.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.host())
    }

    /// `HOST:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it answers to a command.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&self, command: &[impl AsRef<str>]) -> T {
        let command: Vec<_> = command.iter().map(AsRef::as_ref).collect();
        let client = redis::Client::open(self.url()).expect("an address");
        let connecting = client.get_multiplexed_async_connection().await;
        let mut raw = redis::cmd(command[0]);
        raw.arg(&command[1..]);
        let answer = raw
            .query_async(&mut connecting.expect("a connection"))
            .await;
        answer.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Bytes that have left it since it started.
    pub(crate) async fn net_output_bytes(&self) -> u64 {
        let stats: String = self.ask(&["INFO", "stats"]).await;
        let line = stats
            .lines()
            .find_map(|line| line.strip_prefix("total_net_output_bytes:"));
        line.and_then(|it| it.parse().ok()).expect("a number")
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Kills it, as a crash would. Its port stays its own for [`Self::start_again`].
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Starts it again where it was, with what it had kept on disk.
    pub(crate) fn start_again(&mut self) {
        self.kill();
        self.child = self.spawn();
        assert!(self.child.is_some(), "redis-server did not come back");
    }

    /// Nothing if the server ended instead of accepting connections.
    fn spawn(&self) -> Option<Child> {
        let mut child = Command::new("redis-server")
            .args(&self.options)
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .arg("--dir")
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is missing: run `apt-get install redis-server`");
        let log = BufReader::new(child.stdout.take().expect("a pipe"));
        let ready = log
            .lines()
            .map_while(Result::ok)
            .any(|line| READY.iter().any(|ready| line.contains(ready)));
        if ready {
            return Some(child);
        }
        child.wait().ok();
        None
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The command of docs/redis.md that makes the user `name`, with this password, for queues with
/// this prefix.
pub(crate) fn documented_user(name: &str, password: &str, prefix: &str) -> Vec<String> {
    let document = include_str!("../../../docs/redis.md");
    let begins = format!("ACL SETUSER {name} ");
    let command = document.lines().find(|line| line.starts_with(&begins));
    let words = command.expect("the command").split_whitespace();
    let word = |word: &str| match word {
        ">PASSWORD" => format!(">{password}"),
        _ => word.replacen("~bull:", &format!("~{prefix}:"), 1),
    };
    words.map(word).collect()
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

fn temporary_folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}
