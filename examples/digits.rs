//! A small net on handwritten digits, in Rust. `cargo run --release --example digits`

use downhill::prelude::*;

/// A model is a function from tensor to tensor.
fn model(net: &Net, x: &Tensor) -> Tensor {
    let x = net.linear("hidden1", &x.flatten(), 128).relu();
    let x = net.linear("hidden2", &x, 64).relu();
    net.linear("out", &x, 10)
}

/// Prints each fifth epoch.
struct Print;

impl Observer for Print {
    fn epoch(&mut self, e: &EpochRecord) -> Result<(), Error> {
        if e.epoch.is_multiple_of(5) {
            let accuracy = 100.0 * e.eval_accuracy.unwrap_or(0.0);
            println!("epoch {:2}  loss {:.4}  accuracy {accuracy:.2}%", e.epoch, e.train_loss);
        }
        Ok(())
    }
}

fn main() -> Result<(), Error> {
    let gpu = Gpu::open(&GpuOptions::default())?;
    let data = downhill::data::digits()?;
    let loss = |y: &Tensor, t: &Tensor| loss::cross_entropy(y, t, &CrossEntropy::default());
    let adamw = Optimizer::AdamW(AdamW { lr: 3e-3, ..AdamW::default() });
    let options = TrainOptions { epochs: 30, ..TrainOptions::default() };
    Trainer::new(&gpu, &model, &loss, &adamw, &data, &options)?.run(&mut Print)?;
    Ok(())
}
