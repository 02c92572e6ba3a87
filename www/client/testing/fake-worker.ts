/** The engine worker of `--mode fake`: the real host and model store around the fake engine. */
import { serve } from '../../worker/serve';
import { startFakePackage } from './fake-engine';

serve(startFakePackage);
