//! Mistakes in the arguments and files are reported before the first request.

use crate::{server::Server, tool::loadtest};

#[track_caller]
fn refused(server: &Server, arguments: &[&str], message: &str) {
    let url = server.url();
    let all: Vec<&str> = ["-H", &url].into_iter().chain(arguments.iter().copied()).collect();
    loadtest(&all).ended_with(2).said(message);
    assert_eq!((server.requests(""), server.connections()), (0, 0), "{arguments:?} sent something");
}

#[test]
fn nothing_is_sent_when_something_is_wrong() {
    let server = Server::start();
    refused(&server, &["-e", "/x", "--payload", "{\"name\": "], "not valid JSON");
    refused(&server, &["-e", "/x", "--payload", "@/no/such/file"], "/no/such/file");
    refused(&server, &["-e", "GET /x", "--payload", "{}"], "sends no body");
    refused(&server, &["-e", "FETCH /x"], "unknown method \"FETCH\"");
    refused(&server, &["-e", "/x/{{ id }}"], "unknown name \"id\"");
    let unset = "error: --payload cannot be filled in: environment variable NO_SUCH is not set\n";
    refused(&server, &["-e", "/x", "--payload", "{\"name\": \"{{ env.NO_SUCH }}\"}"], unset);
    refused(&server, &["-e", "//other/x"], "is the address of another host");
    refused(&server, &["-e", "/x#y"], "what is behind it is never sent; write %23");
    refused(&server, &["-e", "/x", "-o", "result"], "must end in .json, .csv, .html, .md or .xml");
    refused(&server, &["-e", "/x", "-o", "/no/such/folder/result.json"], "cannot write /no/such/folder/result.json");
    refused(&server, &["-e", "/x", "--threshold", "p95"], "compares nothing");
    refused(&server, &["-e", "/x", "--threshold", "dropped<1%"], "\"dropped<1%\" needs --rate");
    refused(&server, &["-e", "/x", "--rate", "9/s", "--threshold", "late<1% for /x"], "leave out \"for …\"");
    refused(&server, &["-e", "/x", "--rate", "fast"], "not a rate");
    refused(&server, &["-e", "/x", "-t", "1 fortnight"], "not a duration");
    refused(&server, &["-e", "/x", "-f", "shop.yaml"], "exclude each other");
    refused(&server, &["-f", "no-such.yaml"], "cannot read scenario file no-such.yaml");
    refused(&server, &["--scenarios", "shopping"], "no scenario is called \"shopping\"");
    refused(&server, &["-e", "/x", "--rules", "no-such-rules"], "no-such-rules");
    refused(&server, &["-e", "/x", "--baseline", "no-such.json"], "cannot read no-such.json");
    refused(&server, &["-e", "/x", "--users", "0"], "whole number");
    refused(&server, &["-e", "/x", "--no-such-option"], "unexpected argument");
}

#[test]
fn what_a_mode_does_not_know_is_refused() {
    loadtest(&["profile"]).ended_with(2).said("a profile measures one endpoint");
    let server = Server::start();
    refused(
        &server,
        &["--mode", "profile", "-e", "/x", "--users", "3"],
        "--concurrent-users means nothing with --mode profile",
    );
    refused(&server, &["--mode", "monitor", "-e", "/x"], "--endpoints means nothing with --mode monitor");
    let monitor = |options: &[&str], name: &str| {
        let message = format!("{name} means nothing with --mode monitor");
        refused(&server, &[&["--mode", "monitor"], options].concat(), &message);
    };
    monitor(&["--payload", "{}"], "--payload");
    monitor(&["--follow-redirects"], "--follow-redirects");
    monitor(&["--grace", "5s"], "--grace");
    monitor(&["--no-server"], "--no-server");
    refused(
        &server,
        &["--mode", "profile", "-e", "/x", "--warm-up", "3"],
        "--warm-up means nothing with --mode profile",
    );
    refused(&server, &["-e", "/x", "--interval", "3s"], "--interval means nothing with --mode load-test");
    refused(&server, &["-e", "/x", "--find-capacity", "--iterations", "3"], "cannot be used with");
    refused(&server, &["-e", "/x", "--max-in-flight", "3"], "--rate");
}

#[test]
fn an_option_that_would_change_nothing_is_refused() {
    let server = Server::start();
    let together = |options: &[&str]| refused(&server, &[&["-e", "/x"], options].concat(), "cannot be used with");
    together(&["--rate", "5/s", "--increase-rate", "1"]);
    together(&["--rate", "5/s", "--max-in-flight", "3", "--users", "4"]);
    together(&["--scenarios", "shopping"]);
    together(&["--no-rules", "--fail-on", "low"]);
    together(&["--no-server", "--monitor-url", &server.url()]);
    refused(&server, &["-e", "/x", "--max-load", "50"], "--find-capacity");
    refused(&server, &["-f", "shop.yaml", "--method", "PUT"], "--endpoints");
    refused(&server, &["--method", "PUT"], "--endpoints");
    refused(&server, &["--mode", "profile", "-f", "shop.yaml", "--method", "PUT"], "--endpoints");
    refused(&server, &["--mode", "profile", "-e", "/x", "--threshold", "p95<1s for /y"], "is called \"/y\"");
}

#[test]
fn a_wrong_address_is_told() {
    loadtest(&["-H", "http://x/api", "-e", "/"]).ended_with(2).said("paths belong to --endpoints");
    loadtest(&["-H", "ftp://x", "-e", "/"]).ended_with(2).said("unknown scheme \"ftp\"");
}

#[test]
fn credentials_of_the_address_are_sent_and_never_shown() {
    let server = Server::start();
    let url = server.url().replace("http://", "http://ann:s3cret%21@");
    let outputs = ["r.csv", "r.html", "r.md", "r.xml"];
    let files = outputs.map(|name| ["-o", name]).concat();
    let run = loadtest(&[&["-H", &url, "-e", "/head", "/missing", "-u", "1", "-t", "1s"][..], &files].concat());
    // printf 'ann:s3cret!' | base64
    let heads = server.heads();
    assert!(!heads.is_empty() && heads.iter().all(|head| head.contains("authorization: Basic YW5uOnMzY3JldCE=")));
    let mut shown = vec![run.out.clone(), run.err.clone(), run.json.to_string()];
    shown.extend(outputs.map(|name| std::fs::read_to_string(run.file(name)).unwrap()));
    assert!(shown.iter().all(|text| !text.contains("s3cret") && !text.contains("YW5u")), "{shown:?}");
    for wrong in [
        "http://ann:s3cret@127.0.0.1:9",
        "http://ann:s3cret@127.0.0.1/api",
        "ftp://ann:s3cret@127.0.0.1",
        "ann:s3/cret@x",
    ] {
        for option in ["--base-url", "--monitor-url"] {
            let run = loadtest(&[option, wrong, "-e", "/ok", "-t", "100ms"]).ended_with(2);
            assert!(!run.err.contains("cret"), "{}", run.err);
        }
    }
    let run =
        loadtest(&["-e", "http://ann:s3cret@127.0.0.1/ok"]).ended_with(2).said("give scheme and host with --base-url");
    assert!(!run.err.contains("cret"), "{}", run.err);
    let twice = ["-H", &url, "--header", "Authorization: Bearer abc", "-e", "/ok"];
    loadtest(&twice).ended_with(2).said("--base-url has a user, and --header an authorization");
}
