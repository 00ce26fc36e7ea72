"""The adapters in the libraries themselves, where these are installed: `pip install lightning mmengine`."""

import importlib
import logging

import pytest
import torch

from .standins import CHANNELS, TAPS, Branches

SMALL = {"dim": 8, "depth": 2, "hidden": 8}
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Samples(torch.utils.data.Dataset):
    """Random inputs, each a function of its number."""

    def __init__(self, key: str | None = None) -> None:
        self.key = key

    def __len__(self):
        return 64

    def __getitem__(self, index):
        x_C = torch.randn(3, generator=torch.Generator().manual_seed(index))
        return x_C if self.key is None else {self.key: x_C}


@pytest.mark.parametrize(
    "options", [{}, {"precision": "bf16-mixed", "accumulate_grad_batches": 2, "gradient_clip_val": 1.0}]
)
@pytest.mark.parametrize("mapping", [True, False])
def test_lightning(tmp_path, mapping, options):
    lightning = pytest.importorskip("lightning.pytorch")
    adapter = importlib.import_module("nexusflow.adapters.lightning")

    class Module(Branches, lightning.LightningModule):
        def training_step(self, batch):
            loss = sum(x.square().mean() for x in self.outputs(batch))
            return {"loss": loss, "more": 1} if mapping else loss

        def on_train_batch_end(self, outputs, batch, batch_idx):
            seen.append(float(self.trainer.callback_metrics["nexusflow"]))

        def validation_step(self, batch):
            self.outputs(batch)

        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=0.02)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 3)]

    torch.manual_seed(0)
    module, seen = Module(), []
    names = set(module.state_dict())
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=3,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[
            adapter.NexusFlowCallback(TAPS, channels=CHANNELS, **SMALL),
            lightning.callbacks.ModelCheckpoint(tmp_path, save_last=True),
        ],
        **options,
    )
    loader = torch.utils.data.DataLoader(Samples(), batch_size=8)
    trainer.fit(module, loader, loader)
    assert len(seen) == 24 and sum(seen[-8:]) < 0.8 * sum(seen[:8])
    assert "nexusflow/distance_ratio" in trainer.callback_metrics
    assert set(module.state_dict()) == names and "training_step" not in vars(module)
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert any(name.startswith("nexusflow.surrogates.flows") for name in saved)


def test_mmengine(tmp_path, monkeypatch):
    pytest.importorskip("mmengine")
    importlib.import_module("nexusflow.adapters.mmengine")
    model_type = importlib.import_module("mmengine.model").BaseModel
    runner_type = importlib.import_module("mmengine.runner").Runner
    # MMEngine reads its own checkpoints in the way that newer releases of PyTorch no longer default to.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")

    class Model(Branches, model_type):
        def forward(self, inputs, mode="tensor"):
            depth, edges = self.outputs(torch.stack(inputs) if isinstance(inputs, list) else inputs)
            return {"loss_depth": depth.square().mean(), "loss_edges": edges.square().mean()}

    def train(epochs: int, resume: bool):
        torch.manual_seed(0)
        model = Model()
        runner = runner_type(
            model=model,
            work_dir=str(tmp_path),
            train_dataloader={
                "batch_size": 8,
                "dataset": Samples("inputs"),
                "sampler": {"type": "DefaultSampler", "shuffle": False},
            },
            train_cfg={"by_epoch": True, "max_epochs": epochs},
            optim_wrapper={"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.02, "momentum": 0.9}},
            param_scheduler=[
                {"type": "LinearLR", "start_factor": 0.1, "begin": 0, "end": 4, "by_epoch": False}
            ],
            custom_hooks=[{"type": "NexusFlowHook", "taps": TAPS, "channels": CHANNELS, **SMALL}],
            resume=resume,
            default_scope="mmengine",
            experiment_name=f"{tmp_path.name}-{epochs}",
            log_level="ERROR",
        )
        runner.train()
        assert not hasattr(model, "nexusflow") and not model._forward_hooks
        history = runner.message_hub.get_scalar("train/loss_nexusflow").data[0]
        assert runner.message_hub.get_scalar("train/nexusflow/depth/latent_rank").current() > 0
        return [float(loss) for loss in history]

    try:
        whole = train(3, resume=False)
        assert len(whole) == 24 and sum(whole[-8:]) < 0.8 * sum(whole[:8])
        resumed = train(4, resume=True)
        assert resumed[:24] == whole and sum(resumed[24:]) < sum(whole[:8])
    finally:
        logging.shutdown()
