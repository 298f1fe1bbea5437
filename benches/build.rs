//! Generates the stubs of the peers that need an interface definition (tonic's from Rust, so that
//! no protoc is needed; volo's from `idl/echo.thrift`) and notes the compiler's version.

use std::error::Error;
use std::process::Command;

use tonic_build::manual;

fn main() -> Result<(), Box<dyn Error>> {
    let payload = "crate::peers::tonic::Payload";
    let echo = manual::Method::builder()
        .name("echo")
        .route_name("Echo")
        .input_type(payload)
        .output_type(payload)
        .codec_path("tonic_prost::ProstCodec")
        .build();
    let service = manual::Service::builder().package("bench").name("Echo").method(echo).build();
    manual::Builder::new().compile(&[service]);

    volo_build::Builder::thrift().add_service("idl/echo.thrift").write()?;

    let version = Command::new(std::env::var("RUSTC")?).arg("--version").output()?.stdout;
    println!("cargo:rustc-env=BENCH_RUSTC={}", String::from_utf8(version)?.trim());
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=idl");
    Ok(())
}
