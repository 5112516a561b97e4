//! A variational autoencoder on handwritten digits: the loss has two parts, and each is reported by its name.
//! `cargo run --release --example vae`
//!
//! The encoder computes a Gaussian N(μ, σ²) over eight hidden numbers, the decoder the probability of ink at each pixel.
//! The loss bounds −log p(image) from above (Kingma and Welling, "Auto-Encoding Variational Bayes", 2014), in nats.

use downhill::prelude::*;

const HIDDEN: usize = 8;

/// μ and log σ², [batch, HIDDEN] each.
fn encoder(net: &Net, image: &Tensor) -> (Tensor, Tensor) {
    let conv = Conv2d { stride: [2, 2], padding: Padding::Explicit([1, 1]), ..Conv2d::new(16, [3, 3]) };
    let h = net.conv2d("encoder.conv", image, &conv).relu();
    let h = net.linear("encoder.linear", &h.flatten(), 64).relu();
    (net.linear("encoder.mean", &h, HIDDEN), net.linear("encoder.log_variance", &h, HIDDEN))
}

/// Logits of the pixels, [batch, 1, 8, 8].
fn decoder(net: &Net, z: &Tensor) -> Tensor {
    let up = ConvTranspose2d { stride: [2, 2], padding: [1, 1], ..ConvTranspose2d::new(1, [4, 4]) };
    let h = net.linear("decoder.linear1", z, 64).relu();
    let h = net.linear("decoder.linear2", &h, 16 * 4 * 4).relu().reshape([z.shape()[0], 16, 4, 4]);
    net.conv_transpose2d("decoder.conv", &h, &up)
}

fn vae(net: &Net, batch: &Batch) -> Objective {
    let image = batch.x();
    let (mean, log_variance) = encoder(net, image);
    // Training draws z = μ + σ·N(0, 1), and the gradient flows through it; evaluation uses the mean.
    let z = if net.training() {
        let noise = net.graph().random_normal(mean.shape());
        &mean + noise * (&log_variance * 0.5).exp()
    } else {
        mean.clone()
    };
    let logits = decoder(net, &z);

    let pixels = image.shape()[1..].iter().product::<usize>() as f32;
    let reconstruction = loss::bce_with_logits(&logits, image) * pixels;
    // The divergence of N(μ, σ²) from N(0, 1): ½·Σ(μ² + σ² − log σ² − 1).
    let divergence = mean.square() + log_variance.exp() - log_variance - 1.0;
    let kl = (divergence.sum(&[1], false) * 0.5).mean_all();
    Objective::new(&reconstruction + &kl).metric("reconstruction", reconstruction).metric("kl", kl)
}

/// Prints each fifth epoch.
struct Print;

impl Observer for Print {
    fn epoch(&mut self, e: &EpochRecord) -> Result<(), Error> {
        if e.epoch.is_multiple_of(5) {
            print!("epoch {:2}  loss {:.3}", e.epoch, e.train_loss);
            e.train_metrics.iter().for_each(|(name, value)| print!("  {name} {value:.3}"));
            print!("   by the mean: loss {:.3}", e.eval_loss.unwrap_or(f64::NAN));
            e.eval_metrics.iter().for_each(|(name, value)| print!("  {name} {value:.3}"));
            println!();
        }
        Ok(())
    }
}

fn main() -> Result<(), Error> {
    let gpu = Gpu::open(&GpuOptions::default())?;
    let data = downhill::data::digits()?.without_targets();
    let adam = Optimizer::Adam(Adam { lr: 3e-3, ..Adam::default() });
    let options = TrainOptions { epochs: 20, ..TrainOptions::default() };
    Trainer::for_step(&gpu, &vae, &adam, &data, &options)?.run(&mut Print)?;
    Ok(())
}
