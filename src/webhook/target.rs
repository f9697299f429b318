//! Where notifications may go.
//!
//! The server is a local tool, so it sends nothing to the public internet unless its user says so: by default, a receiver
//! is at a loopback or private address, or has a name without a dot, such as the service of a compose file.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use http::Uri;

/// Further hosts that may receive notifications: names or addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowedTargets(Vec<String>);

/// A receiver.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Target {
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether the user named the host, so that it may be anywhere.
    pub(super) is_named: bool,
    /// The value of `Host`.
    pub(super) authority: String,
    /// The path and the query.
    pub(super) path: String,
}

/// Why an address is no receiver.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TargetError(String);

impl AllowedTargets {
    #[cfg(feature = "cli")]
    pub(crate) fn new(hosts: Vec<String>) -> Self {
        Self(hosts)
    }

    /// The receiver at a URL.
    ///
    /// # Errors
    ///
    /// Why notifications cannot go there.
    pub(crate) fn target(&self, url: &str) -> Result<Target, TargetError> {
        const WANTED: &str = "url must be http:// with a host, such as http://127.0.0.1:9000/hook";
        let shown: String = url.chars().take(100).collect();
        let wrong = |why: &str| TargetError(format!("{WANTED}; {why}, got {shown:?}"));
        let uri: Uri = url.parse().map_err(|_| wrong("it is not a URL"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(wrong("deliveries over TLS are not supported")),
            _ => return Err(wrong("it has another scheme")),
        }
        let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("it has a user"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_ascii_lowercase();
        if host.is_empty() {
            return Err(wrong("it has no host"));
        }
        let port = match authority.as_str()[authority.host().len()..].strip_prefix(':') {
            None => 80,
            Some(port) => {
                let port = port.parse().ok().filter(|port| *port > 0);
                port.ok_or_else(|| wrong("its port is not from 1 to 65535"))?
            }
        };
        if !self.allows(&host) {
            return Err(TargetError(format!(
                "url must have a loopback or private address, a name without a dot, or a host of --webhook-allow, got {host:?}"
            )));
        }
        Ok(Target {
            port,
            is_named: self.is_named(&host),
            authority: authority.to_string(),
            path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
            host,
        })
    }

    fn allows(&self, host: &str) -> bool {
        let is_allowed = match host.parse() {
            Ok(address) => is_loopback_or_private(address),
            Err(_) => is_local_name(host),
        };
        is_allowed || self.is_named(host)
    }

    fn is_named(&self, host: &str) -> bool {
        self.0.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }
}

/// Whether a name is one of the own network: without a dot, and no number, which is an address in another form.
fn is_local_name(host: &str) -> bool {
    host.starts_with(|first: char| first.is_ascii_alphabetic())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Whether an address is a loopback or a private one.
pub(super) fn is_loopback_or_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_loopback_or_private_v4(address),
        IpAddr::V6(address) => is_near_v6(address),
    }
}

fn is_loopback_or_private_v4(address: Ipv4Addr) -> bool {
    address.is_loopback() || address.is_private()
}

fn is_near_v6(address: Ipv6Addr) -> bool {
    address.is_loopback()
        || address.is_unique_local()
        || address.to_ipv4_mapped().is_some_and(is_loopback_or_private_v4)
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TargetError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_near_or_named() {
        let allowed = AllowedTargets::new(vec!["hooks.example.com".to_owned(), "203.0.113.9".to_owned()]);
        for (url, is_allowed) in [
            ("http://127.0.0.1:9/x", true),
            ("http://localhost", true),
            ("http://receiver:8000/hook?a=1", true),
            ("http://10.1.2.3", true),
            ("http://172.16.0.1", true),
            ("http://172.32.0.1", false),
            ("http://192.168.1.1/", true),
            ("http://169.254.169.254/", false),
            ("http://0.0.0.0/", false),
            ("http://[::1]:80/", true),
            ("http://[fd00::1]/", true),
            ("http://[::ffff:8.8.8.8]/", false),
            ("http://8.8.8.8/", false),
            ("http://2130706433/", false),
            ("http://0x7f000001/", false),
            ("http://0/", false),
            ("http://-/", false),
            ("http://*/", false),
            ("http://127.1/", false),
            ("http://localhost./", false),
            ("http://127.0.0.1:99999/", false),
            ("http://127.0.0.1:0/", false),
            ("http://127.0.0.1:/", false),
            ("http://example.com/", false),
            ("http://HOOKS.example.com/", true),
            ("http://sub.hooks.example.com/", false),
            ("http://203.0.113.9/", true),
            ("https://127.0.0.1/", false),
            ("ftp://127.0.0.1/", false),
            ("http://user@127.0.0.1/", false),
            ("127.0.0.1", false),
            ("", false),
        ] {
            assert_eq!(allowed.target(url).is_ok(), is_allowed, "{url}");
        }
        let target = allowed.target("http://[::1]:81").expect("a target");
        assert_eq!((target.host.as_str(), target.port, target.path.as_str()), ("::1", 81, "/"));
    }
}
