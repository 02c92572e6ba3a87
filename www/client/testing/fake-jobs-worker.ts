import { serveJobs } from '../../worker/serve-jobs';
import { startFakeJobs } from './fake-engine';

serveJobs(startFakeJobs);
