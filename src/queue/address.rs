//! The four ways to say where Redis is.
//!
//! | form | what it is |
//! |---|---|
//! | `redis://[user:password@]host[:port][/db]` | one server |
//! | `redis-cluster://h1:p1,h2:p2` | a Redis Cluster, found from any of its nodes |
//! | `redis-sentinel://h1:26379,h2:26379/MASTER[/DB]` | the master that the Sentinels name |
//! | `rediss://`, `rediss-cluster://`, `rediss-sentinel://` | the same over TLS |

use std::fmt;
use std::str::FromStr;

use redis::IntoConnectionInfo;

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// A checked Redis address. Neither `Debug` nor `Display` shows user or password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    pub(super) topology: Topology,
    pub(super) tls: bool,
    /// `user:password` as it stood in the address, percent-encoded; empty when there is none.
    pub(super) userinfo: String,
    pub(super) hosts: Vec<Host>,
    pub(super) db: u16,
}

/// What stands behind the hosts of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Topology {
    Single,
    Cluster,
    Sentinel { master: String },
}

/// A host and its port; an IPv6 address keeps its brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

/// Why an address cannot be used. It never repeats the address, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("REDIS_URL (spec.queue.redis): {0}")]
pub struct AddressError(&'static str);

const FORMS: AddressError = AddressError(
    "the address begins with none of redis://, rediss://, redis-cluster://, redis-sentinel://; \
     write for example redis://redis:6379",
);
const QUERY: AddressError =
    AddressError("options after a question mark are not supported; end the address before it");
const HOST: AddressError = AddressError(
    "a host is missing or its port is not a number; write for example redis://redis:6379",
);
const ONE_HOST: AddressError = AddressError(
    "redis:// takes one host; for several write redis-cluster:// or redis-sentinel://",
);
const DATABASE: AddressError = AddressError(
    "the database after the slash is not a number; write for example redis://redis:6379/0",
);
const CLUSTER_DATABASE: AddressError =
    AddressError("a Redis Cluster has only database 0; end the address after the last host");
const MASTER: AddressError = AddressError(
    "the master's name is missing; write for example redis-sentinel://h1:26379,h2:26379/mymaster/0",
);
const UNREADABLE: AddressError = AddressError(
    "the address cannot be read; percent-encode special characters in user and password",
);
const NO_HASH_TAG: AddressError = AddressError(
    "in a Redis Cluster all keys of a queue must share a slot: \
     set CIO_QUEUE_PREFIX (spec.queue.prefix) to {bull}, in the producer too",
);

impl RedisAddress {
    /// Whether it is a Redis Cluster, whose queues need a hash tag.
    pub fn is_cluster(&self) -> bool {
        self.topology == Topology::Cluster
    }

    /// The host, where it is the server itself: a Cluster and Sentinels name others.
    pub fn sole_host(&self) -> Option<&str> {
        let sole = self.topology == Topology::Single;
        let host = self.hosts.first().filter(|_| sole)?;
        Some(&host.name)
    }

    /// Refuses a queue whose keys would scatter over the slots of a Redis Cluster.
    pub fn check_keys(&self, keys: &super::names::QueueKeys) -> Result<(), AddressError> {
        if self.is_cluster() && !keys.has_hash_tag() {
            return Err(NO_HASH_TAG);
        }
        Ok(())
    }

    /// The URL of one host in the form that the `redis` crate reads, credentials included.
    pub(super) fn url_of(&self, host: &Host, tls: bool) -> String {
        let scheme = if tls { "rediss" } else { "redis" };
        let at = if self.userinfo.is_empty() { "" } else { "@" };
        let Host { name, port } = host;
        format!("{scheme}://{}{at}{name}:{port}/{}", self.userinfo, self.db)
    }

    fn checked(self) -> Result<Self, AddressError> {
        for host in &self.hosts {
            self.url_of(host, self.tls)
                .into_connection_info()
                .map_err(|_| UNREADABLE)?;
        }
        Ok(self)
    }
}

impl FromStr for RedisAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(FORMS)?;
        let (tls, kind) = match scheme.strip_prefix("rediss") {
            Some(kind) => (true, kind),
            None => (false, scheme.strip_prefix("redis").ok_or(FORMS)?),
        };
        // From the last @ on there is no user information left: a password may hold what follows.
        let (userinfo, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        if rest.contains(['?', '#']) {
            return Err(QUERY);
        }
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (topology, default_port, db) = read_kind(kind, path)?;
        let hosts = hosts
            .split(',')
            .map(|host| read_host(host.trim(), default_port))
            .collect::<Result<Vec<_>, _>>()?;
        if topology == Topology::Single && hosts.len() > 1 {
            return Err(ONE_HOST);
        }
        let userinfo = userinfo.to_owned();
        Self {
            topology,
            tls,
            userinfo,
            hosts,
            db,
        }
        .checked()
    }
}

fn read_kind(kind: &str, path: &str) -> Result<(Topology, u16, u16), AddressError> {
    match kind {
        "" => Ok((Topology::Single, REDIS_PORT, read_db(path)?)),
        "-cluster" if matches!(path, "" | "0") => Ok((Topology::Cluster, REDIS_PORT, 0)),
        "-cluster" => Err(CLUSTER_DATABASE),
        "-sentinel" => {
            let (master, db) = path.split_once('/').unwrap_or((path, ""));
            if master.is_empty() {
                return Err(MASTER);
            }
            let master = master.to_owned();
            Ok((Topology::Sentinel { master }, SENTINEL_PORT, read_db(db)?))
        }
        _ => Err(FORMS),
    }
}

fn read_db(text: &str) -> Result<u16, AddressError> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| DATABASE)
}

fn read_host(text: &str, default_port: u16) -> Result<Host, AddressError> {
    let after_brackets = text.rfind(']').map_or(0, |end| end + 1);
    let (name, port) = match text[after_brackets..].rfind(':') {
        Some(colon) => {
            let (name, port) = text.split_at(after_brackets + colon);
            (name, port[1..].parse().map_err(|_| HOST)?)
        }
        None => (text, default_port),
    };
    if name.is_empty() || port == 0 {
        return Err(HOST);
    }
    Ok(Host {
        name: name.to_owned(),
        port,
    })
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.tls { "s" } else { "" };
        let kind = match &self.topology {
            Topology::Single => "",
            Topology::Cluster => "-cluster",
            Topology::Sentinel { .. } => "-sentinel",
        };
        write!(f, "redis{tls}{kind}://")?;
        for (index, Host { name, port }) in self.hosts.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{name}:{port}")?;
        }
        match &self.topology {
            Topology::Cluster => Ok(()),
            Topology::Single => write!(f, "/{}", self.db),
            Topology::Sentinel { master } => write!(f, "/{master}/{}", self.db),
        }
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_shown_without_credentials() {
        for (given, shown) in [
            ("redis://localhost", "redis://localhost:6379/0"),
            ("redis://redis:6380/3\n", "redis://redis:6380/3"),
            ("redis://user:pass@redis", "redis://redis:6379/0"),
            ("redis://:p%40ss@redis/1", "redis://redis:6379/1"),
            ("redis://:p@ss@redis/1", "redis://redis:6379/1"),
            ("rediss://[::1]:7000", "rediss://[::1]:7000/0"),
            ("redis://[::1]", "redis://[::1]:6379/0"),
            ("redis-cluster://a:7000,b", "redis-cluster://a:7000,b:6379"),
            ("rediss-cluster://:p@a:7000", "rediss-cluster://a:7000"),
            (
                "redis-sentinel://a,b:1/main/2",
                "redis-sentinel://a:26379,b:1/main/2",
            ),
            (
                "redis-sentinel://u:p@a/main",
                "redis-sentinel://a:26379/main/0",
            ),
        ] {
            let address: RedisAddress = given.parse().unwrap();
            assert_eq!(address.to_string(), shown, "{given}");
            assert_eq!(format!("{address:?}"), format!("RedisAddress({shown})"));
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_the_reason() {
        for (given, error) in [
            ("localhost:6379", FORMS),
            ("http://redis", FORMS),
            ("redis+unix:///tmp/redis.sock", FORMS),
            ("redis-ring://a", FORMS),
            ("redis://", HOST),
            ("redis://redis:port", HOST),
            ("redis://redis:0", HOST),
            ("redis://:6379", HOST),
            ("redis-cluster://a,,b", HOST),
            ("redis://a,b", ONE_HOST),
            ("redis://redis/events", DATABASE),
            ("redis-cluster://a/1", CLUSTER_DATABASE),
            ("redis-sentinel://a:26379", MASTER),
            ("redis://redis?family=6", QUERY),
        ] {
            assert_eq!(given.parse::<RedisAddress>(), Err(error), "{given}");
        }
    }

    #[test]
    fn no_error_repeats_the_address() {
        let error = "redis://:geheim@redis:port"
            .parse::<RedisAddress>()
            .unwrap_err();
        assert!(!format!("{error} {error:?}").contains("geheim"));
    }

    #[test]
    fn urls_keep_the_credentials() {
        let address: RedisAddress = "redis://u:p%40@redis/2".parse().unwrap();
        let host = &address.hosts[0];
        assert_eq!(address.url_of(host, false), "redis://u:p%40@redis:6379/2");
        assert_eq!(address.url_of(host, true), "rediss://u:p%40@redis:6379/2");
    }

    #[test]
    fn a_cluster_wants_a_hash_tag() {
        let cluster: RedisAddress = "redis-cluster://a".parse().unwrap();
        let single: RedisAddress = "redis://a".parse().unwrap();
        let plain = keys("bull");
        assert_eq!(cluster.check_keys(&plain), Err(NO_HASH_TAG));
        assert_eq!(cluster.check_keys(&keys("{bull}")), Ok(()));
        assert_eq!(single.check_keys(&plain), Ok(()));
    }

    fn keys(prefix: &str) -> super::super::names::QueueKeys {
        let queue = "cio-events".parse().unwrap();
        super::super::names::QueueKeys::new(&prefix.parse().unwrap(), &queue)
    }
}
