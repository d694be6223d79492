"""Tiny models of published families, built from their configuration, as a hub would hold them."""

import torch

from mep.machine.libraries import prepare_libraries
from mep.methods.bases._tokenizer import build_tokenizer

TINY_DIT = {
    "kind": "dit",
    "resolution": 16,
    "autoencoder": {"channels": [8, 8], "latent_channels": 2, "steps": 3, "batch_size": 2, "crop_px": 16},
    "transformer": {"width": 16, "layers": 2, "head_channels": 8},
    "text": {"width": 16, "layers": 1, "tokens": 20},
}


def tiny_vae(**settings):
    import diffusers

    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=2,
        norm_num_groups=8,
        sample_size=16,
        **settings,
    )


def clip_settings(tokenizer):
    """Of a CLIP text encoder that reads 20 tokens."""
    text = {"vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    text |= {"num_attention_heads": 2, "max_position_embeddings": 20, "projection_dim": 16}
    return text | {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}


def build_sd3(folder, *, with_t5=True):
    """A StableDiffusion3Pipeline of 16 px."""
    prepare_libraries()
    import diffusers
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, T5Config, T5EncoderModel

    torch.manual_seed(0)
    tokenizer = build_tokenizer(20)
    text = clip_settings(tokenizer)
    t5 = {"vocab_size": len(tokenizer), "d_model": 40, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=2,
        out_channels=2,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=40,
        caption_projection_dim=16,
        pooled_projection_dim=32,
        pos_embed_max_size=8,
        qk_norm="rms_norm",
    )
    diffusers.StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=tiny_vae(scaling_factor=1.5305, shift_factor=0.0609),
        text_encoder=CLIPTextModelWithProjection(CLIPTextConfig(**text)),
        text_encoder_2=CLIPTextModelWithProjection(CLIPTextConfig(**text)),
        text_encoder_3=T5EncoderModel(T5Config(**t5)) if with_t5 else None,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        tokenizer_3=tokenizer if with_t5 else None,
    ).save_pretrained(folder)


def build_sdxl(folder):
    """A StableDiffusionXLPipeline of 16 px."""
    prepare_libraries()
    import diffusers
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    tokenizer = build_tokenizer(20)
    text = clip_settings(tokenizer)
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        in_channels=2,
        out_channels=2,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=2,
        norm_num_groups=8,
        cross_attention_dim=32,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 16,
    )
    vae = tiny_vae(scaling_factor=0.13025)
    scheduler = diffusers.EulerDiscreteScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1, timestep_spacing="leading"
    )
    diffusers.StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(CLIPTextConfig(**text)),
        text_encoder_2=CLIPTextModelWithProjection(CLIPTextConfig(**text)),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=scheduler,
    ).save_pretrained(folder)


RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0"}
RESNET |= {"conv2": "out_layers.3", "conv_shortcut": "skip_connection"}


def write_single_file(pipeline, path):
    """A StableDiffusionPipeline in one file, by the names of the original code of Stable Diffusion."""
    from safetensors.torch import save_file

    unet, vae, text = (part.state_dict() for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder))
    layers, n_levels = pipeline.unet.config.layers_per_block, len(pipeline.vae.config.block_out_channels)
    tensors = {f"model.diffusion_model.{_unet_name(name, layers)}": value for name, value in unet.items()}
    tensors |= {f"first_stage_model.{_vae_name(name, n_levels)}": value for name, value in vae.items()}
    # transformers 5 leaves out what the weights on disk begin with
    plain = {name.removeprefix("text_model."): value for name, value in text.items()}
    tensors |= {f"cond_stage_model.transformer.text_model.{name}": value for name, value in plain.items()}
    save_file({name: value.contiguous().clone() for name, value in tensors.items()}, path)


def _unet_name(name, layers):
    parts = name.split(".")
    whole = {"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}
    whole |= {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2"}
    for ours, theirs in whole.items():
        if name.startswith(f"{ours}."):
            return name.replace(ours, theirs, 1)
    if parts[0] == "mid_block":
        place, rest = f"middle_block.{1 if parts[1] == 'attentions' else 2 * int(parts[2])}", parts[3:]
    else:
        level, kind, number, rest = int(parts[1]), parts[2], int(parts[3]), parts[4:]
        if kind == "downsamplers":
            return ".".join([f"input_blocks.{(level + 1) * (layers + 1)}.0.op", *rest[1:]])
        if kind == "upsamplers":  # after the attention, where the level has one
            return ".".join([f"output_blocks.{level * (layers + 1) + layers}.{2 if level == 0 else 1}", *rest])
        first = 1 if parts[0] == "down_blocks" else 0
        side = "input_blocks" if first else "output_blocks"
        place = f"{side}.{first + level * (layers + 1) + number}.{int(kind == 'attentions')}"
    if rest[0] in RESNET and "transformer_blocks" not in rest:
        rest = [RESNET[rest[0]], *rest[1:]]
    return ".".join([place, *rest])


def _vae_name(name, n_levels):
    parts = name.split(".")
    if len(parts) > 3 and parts[1] in ("down_blocks", "up_blocks"):
        level = int(parts[2]) if parts[1] == "down_blocks" else n_levels - 1 - int(parts[2])
        kind = {"resnets": f"block.{parts[4]}", "downsamplers": "downsample", "upsamplers": "upsample"}[parts[3]]
        parts = [parts[0], parts[1].split("_")[0], str(level), kind, *parts[5:]]
    elif parts[1] == "mid_block":
        parts = [parts[0], "mid", f"block_{int(parts[3]) + 1}", *parts[4:]]
    return ".".join(parts).replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
