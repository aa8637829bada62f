//! The text on the terminal when the demo is up: what to open next.
//!
//! Programs read the first line, `listening on URL`, to learn the port; its form does not change.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use super::sickness::{Fixes, Sickness};

/// The facts that the text is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Welcome<'a> {
    /// Where the demo listens.
    pub(crate) address: SocketAddr,
    /// The sicknesses that are switched off.
    pub(crate) fixes: &'a Fixes,
    /// Whether it has visitors of its own.
    pub(crate) traffic: bool,
    /// The directory of the rules; `None` where the built-in rules apply.
    pub(crate) rules: Option<&'a Path>,
    /// The directory of the data; `None` where it is removed at the end.
    pub(crate) data: Option<&'a Path>,
}

impl Welcome<'_> {
    /// Returns the address that a browser on this machine can open.
    pub(crate) fn reachable(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, self.address.port())
    }
}

impl fmt::Display for Welcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = format!("http://{}", self.reachable());
        let sick = self.fixes.remaining().count();
        writeln!(f, "listening on {base}\n")?;
        match sick {
            0 => writeln!(
                f,
                "A small shop, and nothing is wrong with it: all {} sicknesses are fixed.",
                Sickness::ALL.len()
            )?,
            1 => writeln!(f, "A small shop with one thing wrong with it.")?,
            _ => writeln!(f, "A small shop with {sick} things wrong with it.")?,
        }
        writeln!(f, "Open one of these:\n")?;
        writeln!(f, "  {base}/                         the shop: its routes, and which of them are sick")?;
        writeln!(f, "  {base}/performance              the live page: what is wrong now, and why")?;
        writeln!(f, "  {base}/performance/bottlenecks  what Pinchpoint has found, as JSON")?;
        writeln!(f, "  {base}/metrics                  what Prometheus reads\n")?;
        if self.traffic {
            writeln!(f, "Built-in visitors call every route; the first findings take about a minute.")?;
        } else {
            writeln!(f, "There is no traffic yet. Make some in another terminal:\n")?;
            writeln!(f, "  cargo run --bin loadtest -- --base-url {base} --users 10 --run-time 60s\n")?;
            writeln!(f, "or start the demo with --traffic.")?;
        }
        if sick > 0 {
            writeln!(f, "--fix NAME fixes one of them, --fixed all of them; --help lists the names.")?;
        }
        match self.rules {
            Some(directory) => {
                writeln!(
                    f,
                    "The rules are in {}; you can edit them while the demo runs.",
                    directory.join("*.yaml").display()
                )?;
            }
            None => writeln!(f, "The built-in rules apply; --rules DIRECTORY sets others.")?,
        }
        match self.data {
            Some(directory) => writeln!(f, "Ctrl-C ends the demo; its data stays in {}.", directory.display()),
            None => writeln!(f, "Ctrl-C ends the demo and removes its data."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn welcome(fixes: &Fixes) -> Welcome<'_> {
        let address = SocketAddr::from(([127, 0, 0, 1], 8000));
        Welcome { address, fixes, traffic: false, rules: Some(Path::new("rules")), data: None }
    }

    #[test]
    fn the_text_lists_what_to_open_next() {
        insta::assert_snapshot!("welcome_sick", welcome(&Fixes::default()));
    }

    #[test]
    fn the_text_says_when_everything_is_fixed() {
        let fixes = Fixes::all();
        let welcome = Welcome { traffic: true, rules: None, data: Some(Path::new("kept")), ..welcome(&fixes) };
        insta::assert_snapshot!("welcome_fixed", welcome);
    }

    #[test]
    fn an_unspecified_address_is_shown_as_loopback() {
        let fixes = Fixes::default();
        let welcome = Welcome { address: SocketAddr::from(([0, 0, 0, 0], 80)), ..welcome(&fixes) };
        assert!(welcome.to_string().starts_with("listening on http://127.0.0.1:80\n"), "{welcome}");
    }
}
