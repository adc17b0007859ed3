// A WASI command that uses what programs in Rust use of WASI.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::{env, thread, time};

fn main() {
    let mut content = String::new();
    io::stdin().read_to_string(&mut content).unwrap();
    print!("Content-Type: text/plain\n\n");
    println!("{} {:?} {:?}", env::var("REQUEST_METHOD").unwrap(), content, env::args().collect::<Vec<_>>());

    let begun = time::Instant::now();
    thread::sleep(time::Duration::from_millis(5));
    let random: HashMap<u32, u32> = (0..100).map(|i| (i, i)).collect(); // seeded by random_get
    println!("{} {}", begun.elapsed().as_millis() >= 5, random.len());
    println!("{:?}", std::fs::read("/etc/passwd").is_err());
    io::stdout().flush().unwrap();
    eprintln!("done");
    if content == "panic" {
        panic!("asked to");
    }
}
