//! `netsim shell`: a terminal inside the simulated Internet.

use crate::cli::ShellArgs;
use resonance_netsim::driver::Driver;
use resonance_netsim::router::HostId;
use resonance_netsim::scenario::Scenario;
use resonance_netsim::topology::{HostSpec, Plan, Topology};
use std::io::Write;
use std::process::Command;

/// Runs the command, or the shell, to its end.
pub fn run(args: &ShellArgs) -> Result<(), String> {
    let topology = match &args.file {
        Some(file) => Scenario::read(file).map_err(|error| error.to_string())?.topology(),
        None => small_world(args),
    };
    let plan = Plan::new(&topology).map_err(|error| error.to_string())?;
    let names: Vec<String> = plan.hosts.iter().map(|host| host.name.clone()).collect();
    let host =
        plan.host(&args.host).ok_or_else(|| format!("there is no host {:?}: {}", args.host, names.join(", ")))?;
    let driver = Driver::start(plan, args.seed).map_err(|error| error.to_string())?;
    if args.command.is_empty() {
        introduce(&driver, &names, host);
    }
    let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".into());
    let words = if args.command.is_empty() { std::slice::from_ref(&shell) } else { &args.command[..] };
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env("PS1", format!("{} (netsim) $ ", args.host));
    let child = driver.host(HostId(host)).enter(|| command.spawn());
    let status = child.and_then(|mut child| child.wait()).map_err(|error| format!("{}: {error}", words[0]))?;
    if status.success() || args.command.is_empty() { Ok(()) } else { Err(format!("{} ended with {status}", words[0])) }
}

fn small_world(args: &ShellArgs) -> Topology {
    let mut topology = Topology::default();
    let network = topology.add_network("here", &args.edge);
    topology
        .host
        .insert("me".into(), HostSpec { network: network.clone(), link: args.link.clone(), ..HostSpec::default() });
    topology.add_host("neighbour", &network);
    topology.add_host("server", "internet");
    topology
}

fn introduce(driver: &Driver, names: &[String], host: usize) {
    let mut out = std::io::stderr();
    let _ =
        writeln!(out, "A terminal on {}. `exit` ends everything. The other hosts, from another terminal:", names[host]);
    for (index, name) in names.iter().enumerate() {
        let addresses = driver.with_router(|router| router.addresses(HostId(index)).to_vec());
        let path = driver.host(HostId(index)).path();
        let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "  {name:<12} {:<40} nsenter --net={path}", shown.join(" "));
    }
}
