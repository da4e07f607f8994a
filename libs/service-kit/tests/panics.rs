//! What a process tells of a panic, in one of its own.

use std::{
    env::current_exe,
    panic::catch_unwind,
    process::{Command, Output},
};

use env::Env;
use service_kit::{LogFormat, Metrics, log_panics, start_logs};

const IS_CHILD: &str = "ASHLAR_TEST_PANICS";
const SENT: &str = "what-a-client-sent";

#[test]
fn a_panic_is_logged_without_what_was_sent_and_counted() {
    if std::env::var_os(IS_CHILD).is_some() {
        return panic_and_tell();
    }
    let Output { status, stdout, stderr } = Command::new(current_exe().expect("this program"))
        .args(["--exact", "a_panic_is_logged_without_what_was_sent_and_counted", "--nocapture"])
        .env(IS_CHILD, "1")
        .output()
        .expect("it runs");
    let [told, counted] = [stderr, stdout].map(|text| String::from_utf8(text).expect("text"));
    assert!(status.success(), "{told}{counted}");
    assert!(!told.contains(SENT) && !counted.contains(SENT), "{told}{counted}");
    let lines: Vec<_> = told.lines().filter(|line| line.contains("a panic, which is a defect")).collect();
    let [sent, of_itself] = lines[..] else { unreachable!("one line for each panic: {told}") };
    for line in [sent, of_itself] {
        assert!(line.contains("libs/service-kit/tests/panics.rs:"), "{line}");
    }
    assert!(of_itself.contains("a text of the program"), "{of_itself}");
    assert!(counted.contains("\nashlar_panics_total 2\n"), "{counted}");
}

fn panic_and_tell() {
    start_logs(LogFormat::Json, "info");
    log_panics();
    catch_unwind(|| assert!(SENT.is_empty(), "{SENT:?} is refused")).expect_err("it panics");
    catch_unwind(|| assert!(SENT.is_empty(), "a text of the program")).expect_err("it panics");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let samples = runtime.block_on(Metrics::new(&Env::real(), "test", []).read());
    println!("{}", samples.text());
}
